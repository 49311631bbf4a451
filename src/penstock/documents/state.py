"""The state of the event stage in a position: its only reader and writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from penstock.documents.counts import Counts
from penstock.errors import PositionError

if TYPE_CHECKING:
    from penstock.abc import Position

NODE_NAME = "documents"
"""The name of an adapter's event stage; its state stands under this name in a position."""


class EventStageState(msgspec.Struct):
    """The state of the event stage, as JSON in a position.

    The position of upstream counts settled records up to the first unsettled one. This state holds:

    * ``state``: the adapter's state that was last announced; ``new`` before the first.
    * ``counts``: the counts of the logical run, behind the last settled record.
    * ``open``: how many events of each unsettled record were delivered. Its keys are distances from the first
      unsettled record.
    * ``acked``: distances of the records beyond it that are settled already (concurrent documents only).
    * ``progress_due`` (in JSON ``owed``): whether a ``BatchProgress`` comes next.
    * ``final_progress`` (in JSON ``tail``): whether the final ``BatchProgress`` was delivered.
    * ``limited``: whether a limit ended the run.
    * ``from_beginning`` (in JSON ``whole``): whether the logical run began where the source begins.
    * ``first_run`` (in JSON ``since``): the number of the logical run that began where the source begins, and
      that led here.
    * ``promised``: how many documents the source has promised last. A resumed run may not hear it again.
    """

    state: str = "new"
    counts: Counts = msgspec.field(default_factory=Counts)
    open: dict[int, int] = msgspec.field(default_factory=dict)
    acked: list[int] = msgspec.field(default_factory=list)
    progress_due: bool = msgspec.field(default=False, name="owed")
    final_progress: bool = msgspec.field(default=False, name="tail")
    limited: bool = False
    from_beginning: bool = msgspec.field(default=True, name="whole")
    first_run: int | None = msgspec.field(default=None, name="since")
    promised: int | None = None

    @classmethod
    def from_json(cls, state: Any) -> EventStageState:
        """Read a state; fields that an older version did not write have their defaults.

        Raises:
            PositionError: it is not the state of an event stage.
        """
        try:
            return msgspec.convert(state, cls, str_keys=True)
        except msgspec.ValidationError as error:
            msg = f"this position holds a state that the event stage cannot read: {error}"
            raise PositionError(msg) from error

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON, independent of later changes."""
        state: dict[str, Any] = msgspec.to_builtins(self, str_keys=True)
        return state

    @classmethod
    def in_position(cls, position: Position | None) -> EventStageState:
        """Read the state of an adapter's event stage in ``position``; a new one if it has none."""
        state = position["nodes"].get(NODE_NAME) if position else None
        return cls.from_json(state) if state else cls()

    @property
    def processed(self) -> int:
        """Documents that count for the limit. A run that completed without a limit is over: 0."""
        return (
            0
            if self.state == "completed" and not self.limited
            else self.counts.completed + self.counts.failed
        )

    def begin_run(self) -> None:
        """Begin a new logical run behind the records of the one before."""
        self.from_beginning, self.promised, self.counts = False, None, Counts()
