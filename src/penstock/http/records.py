"""What the server remembers of a run: a small file beside its journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from penstock.http.views import Counts, EventRange, Failure, GraphView, Kind, Progress, State
from penstock.system.folders import fsync_folder

FILE = "run.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """Return what tells this start of the machine from others; empty if the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


class Record(BaseModel):
    """The state of a run, as it is stored at each change."""

    id: str
    pipeline: str
    kind: Kind
    state: State = "running"
    reason: str | None = None
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    restarts: int = 0
    boot: str = ""
    """Which start of the machine it ran in last."""
    idempotency_key: str | None = None
    events: EventRange = EventRange(first=1, last=0)
    counts: Counts = Counts()
    progress: Progress | None = None
    errors: list[Failure] = []
    graph: GraphView | None = None
    summary: dict[str, Any] | None = None

    def save(self, folder: Path) -> None:
        """Write the file, durably. Blocks."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{FILE}.part"
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o600)
        with open(fd, "wb") as file:  # noqa: PTH123  a descriptor, with the rights of its owner only
            file.write(self.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / FILE)
        fsync_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> Record:
        """Read the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged.
        """
        return cls.model_validate_json((folder / FILE).read_bytes())
