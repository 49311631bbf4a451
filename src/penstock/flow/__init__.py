"""``Flow``: the cold, immutable description of a stream, and its fluent face by families of operators."""

from penstock.flow.flow import Flow
from penstock.flow.hot import Connectable, GroupedFlow

__all__ = ["Connectable", "Flow", "GroupedFlow"]
