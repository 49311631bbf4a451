"""Penstock: reactive streams for asyncio, driven by the consumer's demand.

``__init__.pyi`` lists the public names. Each is imported when it is first used.
"""

import lazy_loader

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public name; answer an unknown one with a similar one, or with ours for another library's."""
    if name in __all__:
        return _public(name)
    msg = f"module 'penstock' has no attribute {name!r}"
    if not name.startswith("_"):
        from penstock.runtime.other_names import advice_on

        advice = advice_on(name, "ps")
        msg = f"{msg}. {advice}" if advice else msg
    raise AttributeError(msg, name=name)
