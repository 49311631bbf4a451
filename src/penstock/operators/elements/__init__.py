"""Operators that look at one item at a time. Most of them run with their neighbours in one loop."""

from penstock.operators.elements.cast import cast
from penstock.operators.elements.collect import collect
from penstock.operators.elements.distinct import distinct, distinct_until_changed
from penstock.operators.elements.enumerate import enumerate as enumerate  # noqa: A004
from penstock.operators.elements.filter import choose
from penstock.operators.elements.filter import filter as filter  # noqa: A004
from penstock.operators.elements.if_empty import default_if_empty, switch_if_empty
from penstock.operators.elements.intersperse import intersperse
from penstock.operators.elements.map import map as map  # noqa: A004
from penstock.operators.elements.map import starmap
from penstock.operators.elements.materialize import dematerialize, materialize
from penstock.operators.elements.pairwise import pairwise
from penstock.operators.elements.scan import scan
from penstock.operators.elements.start_with import start_with
from penstock.operators.elements.stateful import stateful
from penstock.operators.elements.tap import tap
from penstock.operators.elements.unwrap import unwrap

__all__ = [
    "cast",
    "choose",
    "collect",
    "default_if_empty",
    "dematerialize",
    "distinct",
    "distinct_until_changed",
    "enumerate",
    "filter",
    "intersperse",
    "map",
    "materialize",
    "pairwise",
    "scan",
    "starmap",
    "start_with",
    "stateful",
    "switch_if_empty",
    "tap",
    "unwrap",
]
