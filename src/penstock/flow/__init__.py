"""``Flow``: the description of a stream with its methods, its terminals and its picture."""

from penstock.flow.flow import Flow
from penstock.flow.hot import Connectable, DeadLetters, GroupedFlow

__all__ = ["Connectable", "DeadLetters", "Flow", "GroupedFlow"]
