"""The catalogue of operators, by family. Each is a function that returns ``Flow[A] -> Flow[B]``.

``__init__.pyi`` lists them. An operator is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
