"""How a described graph becomes a run: nodes, stages, demand, positions.

The names in ``__all__`` are public: an operator of your own needs no others. See "Write an operator" in the
documentation.

Read ``node``, ``graph``, ``positions`` and ``stream`` for the description; ``run``, ``upstream``, ``stage`` and
``subscription`` for the run. Several stages share the other files: ``passing``, ``chunks``, ``feeder``,
``inputs``, ``numbered``, ``pump``, ``errand``, ``built_at_runtime``, ``policy``, ``skipping``, ``failures``,
``clock``. ``arguments`` checks what operators are called with. ``facts``, ``cut`` and ``places`` serve deep
graphs.
"""

from penstock.runtime.chunks import Chunks
from penstock.runtime.failures import Failure, calling
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import Order
from penstock.runtime.passing import PassingStage
from penstock.runtime.run import LARGEST_SLICE, Gate, Run
from penstock.runtime.stage import Stage, runs, stop
from penstock.runtime.stream import attach, flow_of, node_of
from penstock.runtime.upstream import Marks, States, Upstream

__all__ = [
    "LARGEST_SLICE",
    "Chunks",
    "Failure",
    "Gate",
    "Marks",
    "Node",
    "Order",
    "PassingStage",
    "Run",
    "Site",
    "Stage",
    "States",
    "Upstream",
    "attach",
    "calling",
    "flow_of",
    "node",
    "node_of",
    "runs",
    "stop",
]
