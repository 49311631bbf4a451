"""The catalogue of operators, by family. Each is a function that returns ``Flow[A] -> Flow[B]``.

``__init__.pyi`` lists them. An operator is imported when it is first used.
"""

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Import an operator; answer an unknown name with a similar one, or with ours for another library's."""
    if name in __all__:
        return _public(name)
    msg = f"module 'penstock.operators' has no attribute {name!r}"
    if not name.startswith("_"):
        from penstock.runtime.other_names import advice_on

        advice = advice_on(name, "op")
        msg = f"{msg}. {advice}" if advice else msg
    raise AttributeError(msg, name=name)
