"""A system that starts no further thread."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import penstock
from penstock import operators as op
from penstock.cli.signals import Interrupts
from penstock.errors import PenstockError
from penstock.ledger.postgres.lease import Renewal
from penstock.system import Worker
from penstock.system.own_loop import run_in_own_loop
from penstock.system.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def answer() -> int:
    return 42


async def worker() -> int:
    made: Worker = WORKERS.setdefault("one", Worker("test"))
    try:
        return await made.run(lambda: 42)
    finally:
        await made.aclose(lambda: None)


async def own_loop() -> int:
    return run_in_own_loop(answer)  # as in a notebook: a loop runs here already


async def map_thread() -> int:
    flow = penstock.just(42) | op.map_thread(lambda item: item)
    return await flow.first()


async def signals() -> int:
    with Interrupts(lambda: None, lambda: None):
        return 42


class Held:
    def renew(self) -> None:
        """Renew nothing."""


async def lease() -> int:
    held = Held()
    Renewal(held.renew, 3600).stop()
    return 42


WORKERS: dict[str, Worker] = {}
STARTS: list[Callable[[], Awaitable[int]]] = [
    lambda: in_thread(lambda: 42), worker, own_loop, map_thread, signals, lease,
]  # fmt: skip


@pytest.mark.parametrize(
    "start", STARTS, ids=["in_thread", "worker", "own_loop", "map_thread", "signals", "lease"]
)
def test_no_thread_can_be_started(
    start: Callable[[], Awaitable[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every start of a thread fails with an error that says what to do; once there is room, it works."""

    def refuse(*_args: object, **_more: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        with monkeypatch.context() as full:
            for name in ("_start_new_thread", "_start_joinable_thread"):  # the second since Python 3.13
                if hasattr(threading, name):
                    full.setattr(threading, name, refuse)
            with pytest.raises(PenstockError, match=r"no thread can be started: .*\(ulimit -u, ulimit -v\)"):
                await start()
        assert await start() == 42

    asyncio.run(main())
