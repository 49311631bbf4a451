"""How a described graph becomes a run: nodes, stages, demand, positions.

The names in ``__all__`` are public: an operator of your own needs no others. See "Write an operator" in the
documentation.

Read ``node``, ``graph`` and ``stream`` for the description; ``run``, ``upstream``, ``stage``,
``subscription`` and ``positions`` for the run. Several stages share the other files: ``passing``,
``chunks``, ``feeder``, ``inputs``, ``numbered``, ``pump``, ``errand``, ``built_at_runtime``, ``policy``,
``skipping``, ``failures``, ``clock``. ``arguments`` checks what operators are called with. ``facts``,
``cut`` and ``places`` serve deep graphs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
