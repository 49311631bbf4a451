"""How a described graph becomes a run: nodes, stages, demand, positions.

Read ``node``, ``graph`` and ``stream`` for the description; ``run``, ``upstream``, ``stage`` and
``subscription`` for the run. Several stages share the other files: ``passing``, ``chunks``, ``feeder``,
``inputs``, ``numbered``, ``pump``, ``errand``, ``built_at_runtime``, ``policy``, ``skipping``, ``failures``,
``clock``. ``arguments`` checks what operators are called with.
"""
