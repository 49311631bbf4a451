"""``distinct``: an element whose state is large, and yet costs neither a request nor a position a copy.

What a position captures for every item is a pair ``(memory, count)``: the keys as they were at the last
snapshot, and how many inputs since. Both of its lists only ever grow, so the pair stays valid, whatever
comes later; only when a position is really written down are the inputs since replayed on the snapshot.
A new snapshot is made when there are as many inputs since as keys may be kept: seldom enough to cost each
input about as much as remembering its key.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.core.elements import Element

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.abc import JSON

__all__ = ["Distinct", "Memory"]

FEWEST = 1024
"""A snapshot of fewer inputs since would be made too often to be worth it."""

State = tuple["Memory", int]


class Memory:
    """The last ``capacity`` different keys, the one met longest ago first, since one snapshot."""

    __slots__ = ("_snapshot", "capacity", "keys", "limit", "since")

    def __init__(self, capacity: int, keys: OrderedDict[Any, None]) -> None:
        self.capacity = capacity
        self.keys = keys
        """The keys as they are now; all memories of a run share it."""
        self._snapshot = tuple(keys)
        self.since: list[Any] = []
        """The keys of the inputs since the snapshot."""
        self.limit = max(capacity, FEWEST)

    def at(self, count: int) -> list[Any]:
        """Return the keys as they were ``count`` inputs behind the snapshot."""
        keys = OrderedDict.fromkeys(self._snapshot)
        for key in self.since[:count]:
            meet(keys, key, self.capacity)
        return list(keys)


def meet(keys: OrderedDict[Any, None], key: Any, capacity: int) -> bool:
    """Make ``key`` the one met last, forgetting the one met longest ago if need be; say if it is new."""
    if key in keys:
        keys.move_to_end(key)
        return False
    keys[key] = None
    if len(keys) > capacity:
        keys.popitem(last=False)
    return True


def remember(state: State, key: Any) -> State:
    """Return the state behind an input; its memory's ``keys`` have it already."""
    memory, count = state
    if count >= memory.limit:
        # a memory whose log is full is left to the positions that point into it
        memory, count = Memory(memory.capacity, memory.keys), 0
    memory.since.append(key)
    return memory, count + 1


class Distinct(Element):
    """Items whose key (``function(item)``, or the item) is none of the last ``number`` different ones."""

    operator = "distinct"
    stateful = True
    number_is = "capacity"
    helpers: ClassVar[Mapping[str, Any]] = {"meet": meet, "remember": remember}

    def first(self) -> State:  # noqa: D102
        return Memory(self.number, OrderedDict()), 0

    def dump(self, state: State) -> JSON:  # noqa: D102
        memory, count = state
        return memory.at(count)

    def load(self, state: JSON) -> State:  # noqa: D102
        kept = list(_hashable(state))[-self.number :]  # the capacity may have been made smaller since
        return Memory(self.number, OrderedDict.fromkeys(kept)), 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: D102
        key = f"f{k}(x)" if called else "x"
        return [
            f"y = {key}",
            f"z = meet(s{k}[0].keys, y, s{k}[0].capacity)",
            f"s{k} = remember(s{k}, y)",
            "if not z:",
            *("    " + line for line in drop),
        ]


def _hashable(keys: Iterable[Any]) -> Iterable[Any]:
    """Turn what JSON made a list back into the tuple that it was."""
    return (tuple(_hashable(key)) if isinstance(key, list) else key for key in keys)
