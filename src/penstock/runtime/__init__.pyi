# The names that this package offers, and where each is defined.

from .chunks import Chunks as Chunks
from .failures import Failure as Failure, calling as calling
from .node import Node as Node, Site as Site, node as node
from .order import Order as Order
from .passing import PassingStage as PassingStage
from .run import LARGEST_SLICE as LARGEST_SLICE, Gate as Gate, Run as Run
from .stage import Stage as Stage, runs as runs, stop as stop
from .stream import attach as attach, flow_of as flow_of, node_of as node_of
from .upstream import Marks as Marks, States as States, Upstream as Upstream
