"""The figures of a run: what each of its stages has done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["StageStatistics", "Statistics"]

MOST_ROWS = 40
"""How many stages a rich form shows."""


@dataclass(frozen=True, slots=True)
class StageStatistics:
    """What one stage has done so far, in items and seconds.

    Neighbouring synchronous operators share one stage. Behind ``buffer``, ``merge`` and similar operators the
    upstream works in a task of its own, so the times of stages overlap.
    """

    name: str
    requested: int
    delivered: int
    requests: int
    waiting: float
    """Time inside ``request``: the work of this stage and of everything upstream."""
    dropped: int = 0
    """Items that an overflow strategy dropped."""
    buffered: int = 0
    """Items that are ready for later requests."""
    upstream: float = 0.0
    """The part of ``waiting`` spent in requests to upstream."""
    idle: float = 0.0
    """Time between requests, since the first one: downstream was busy."""
    nodes: tuple[int, ...] = ()
    """The keys of its operators in ``flow.graph()``; empty for a flow that was built while running."""
    operators: str = ""
    """Its operators, each with the line where it was assembled."""

    @property
    def busy(self) -> float:
        """Time in this stage alone: its functions, or reading its input."""
        return max(0.0, self.waiting - self.upstream)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The stages of one run, from the source to the subscriber, at one moment."""

    stages: tuple[StageStatistics, ...]

    @property
    def delivered(self) -> int:
        """Items that the subscriber has received."""
        return self.stages[-1].delivered if self.stages else 0

    @property
    def slowest(self) -> StageStatistics | None:
        """The busiest stage; ``None`` if the subscriber was busier than any stage."""
        if not self.stages:
            return None
        stage = max(self.stages, key=lambda one: one.busy)
        return stage if stage.busy >= self.stages[-1].idle and stage.busy > 0 else None

    @property
    def bottleneck(self) -> str | None:
        """A sentence that names what makes the run slow; ``None`` if no time has passed."""
        if not self.stages or not (total := self.stages[-1].waiting + self.stages[-1].idle):
            return None
        stage = self.slowest
        if stage is None:
            share = self.stages[-1].idle / total
            return f"the subscriber, which took {share:.0%} of {total:.3g} s between its requests"
        return (
            f"{stage.operators or stage.name}, busy for {min(1.0, stage.busy / total):.0%} of {total:.3g} s"
        )

    def html(self) -> str:
        """Return a table of the stages, for a rich form; the slowest one is marked."""
        from penstock.notebook.forms import note, table
        from penstock.text import count, milliseconds

        head = ["stage", "requested", "delivered", "buffered", "busy", "waited up", "waited down"]
        shown = [*enumerate(self.stages)]
        if len(shown) > MOST_ROWS:
            shown = [*shown[: MOST_ROWS // 2], *shown[-MOST_ROWS // 2 :]]
        rows: list[list[object]] = []
        for _, one in shown:
            counts = (one.requested, one.delivered, one.buffered)
            times = (one.busy, one.upstream, one.idle)
            rows.append([one.name, *map(count, counts), *map(milliseconds, times)])
        slow = [row for row, (_, one) in enumerate(shown) if one is self.slowest]
        notes = [f"bottleneck: {self.bottleneck}"] if self.bottleneck else []
        notes += [f"{len(self.stages) - len(shown)} stages in the middle are left out"] * (
            len(shown) < len(self.stages)
        )
        return table(head, rows, slow=slow) + "".join(map(note, notes))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, note

        return bundle(repr(self), self.html() if self.stages else note("no run has begun"))
