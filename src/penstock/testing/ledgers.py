"""``RecordingLedger``: a ledger in memory that records every call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.abc import Commit, Ledger, Opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Position


class RecordingLedger(Ledger):
    """Keeps commits in memory, where a test can read them.

    Args:
        seconds: How long ``open`` and each commit take, on the clock of the loop.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.commits: list[Commit] = []
        self.finished: list[str] = []
        self.opened = 0
        self.closed = 0
        self._seconds = seconds

    @property
    def position(self) -> Position | None:
        """The position of the last commit."""
        return self.commits[-1].position if self.commits else None

    async def open(self, key: str, *, restart: bool = False) -> Opened:  # noqa: ARG002, D102  promised by Ledger
        self.opened += 1
        await asyncio.sleep(self._seconds)
        if restart:
            self.commits.clear()
        epoch = self.commits[-1].epoch if self.commits else 0
        return Opened(1, epoch, self.position, None, {}, resumed=bool(self.commits), started_at=0.0)

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:  # noqa: ARG002, D102
        return [False] * len(documents)

    async def commit(self, key: str, commit: Commit) -> None:  # noqa: ARG002, D102
        await asyncio.sleep(self._seconds)
        self.commits.append(commit)

    async def pending(self, key: str, commit: Commit) -> None:  # noqa: D102
        await self.commit(key, commit)

    async def confirm(self, key: str, epoch: int) -> None:  # noqa: ARG002, D102
        self.commits = [commit for commit in self.commits if commit.epoch <= epoch]

    async def finish(self, key: str, state: str) -> None:  # noqa: ARG002, D102
        self.finished.append(state)

    async def aclose(self) -> None:  # noqa: D102
        self.closed += 1
