"""What a ledger tells about its keys and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.abc import JSON, Position
    from penstock.system import Holder


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What a ledger knows about one key; times are Unix seconds.

    ``state`` is that of the last logical run: ``completed``, ``running`` if a process (``holder``) holds the
    ledger now, else ``interrupted``. ``counts``, ``position`` and ``record`` are those of the last commit.
    """

    key: str
    run: int
    state: str
    epoch: int
    counts: dict[str, int]
    started_at: float
    committed_at: float | None
    position: Position | None
    record: JSON
    dead_letters: int
    pending: tuple[int, ...]
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One logical run of a key; times are Unix seconds.

    ``state`` is ``completed``, ``abandoned`` (by a restart) or ``running``, which includes interrupted runs:
    ``read_status`` tells them apart. ``counts`` are final, and empty unless the run is completed.
    """

    run: int
    state: str
    started_at: float
    ended_at: float | None
    counts: dict[str, int]
