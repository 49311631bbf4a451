"""How a described graph becomes a run: nodes, stages, demand, positions.

Read ``node``, ``graph`` and ``stream`` for the description; ``run``, ``upstream``, ``stage`` and
``subscription`` for the run. The other files are parts that several stages use: ``passing``, ``chunks``,
``feeder``, ``inputs``, ``pump``, ``errand``, ``built_at_runtime``, ``policy``, ``skipping``, ``failures``.
"""
