"""Hooks that cannot break a run: their failures are counted, and the time they take from a run is bounded.

``Guarded`` is for our own hooks that only count, so they run in place. Any other hook is ``isolated``: it
gets its events later, in a thread or a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from penstock.events import PipelineEvent
from penstock.runtime.arguments import function_for, is_async, name_of, positive, seconds_for
from penstock.runtime.functions import plain_result

LOGGER = logging.getLogger("penstock.telemetry")
Events = Sequence[PipelineEvent]

QUEUE = 10_000
SECONDS = 5.0
_MINUTE = 60.0
_LINGER = 1.0
"""Seconds that an idle thread waits for more events. Starting a thread takes longer than most hooks."""


class Guarded:
    """A hook that runs in place. Its exceptions do not reach the run.

    ``failures`` counts them. The first one is logged, as a warning of ``penstock.telemetry``.
    """

    def __init__(self, name: str = "") -> None:
        self.failures = 0
        self._name = name or type(self).__name__

    def __repr__(self) -> str:
        kind = type(self).__name__.lstrip("_")
        name = "" if self._name == kind else f" {self._name}"
        return f"<{kind}{name}: {self.failures:,} failures>"

    def __call__(self, events: Events) -> None:
        """Take a list of events."""
        try:
            self.take(events)
        except Exception as error:  # noqa: BLE001  telemetry must not end a run
            self._failed(error)

    def take(self, events: Events) -> None:
        """Use the events; may raise."""
        raise NotImplementedError

    def _failed(self, error: BaseException) -> None:
        self.failures += 1
        if self.failures == 1:
            advice = "the run goes on; later failures are only counted (failures=)"
            LOGGER.warning("The hook %s failed: %r; %s", self._name, error, advice, exc_info=error)


class Isolated(Guarded):
    """A hook behind a bounded queue; see `isolated`. Use it as a hook, then as often as you like again.

    ``delivered``, ``dropped`` and ``failures`` count: events that the hook took, events that it did not get,
    and calls that raised or took too long.
    """

    def __init__(self, name: str, queue: int, seconds: float) -> None:
        super().__init__(name)
        positive("isolated", "queue", queue)
        self._limit = queue
        self._seconds = seconds_for("isolated", "seconds", seconds, zero=True)
        self._queue: deque[Events] = deque()
        self._held = 0
        self.delivered = 0
        self.dropped = 0

    async def settle(self) -> None:
        """Wait until the hook has taken all events, but at most ``seconds``. Then drop those in the queue.

        An ``IngestionPipeline`` calls it at the end of each run.
        """
        raise NotImplementedError

    def _fits(self, count: int) -> bool:
        return not self._held or self._held + count <= self._limit

    def _push(self, events: Events) -> None:
        self._queue.append(list(events))
        self._held += len(events)

    def _drop(self, count: int) -> None:
        if count and not self.dropped:
            advice = "it is too slow or hangs; the run goes on. Further drops are only counted (dropped=)"
            LOGGER.warning("The hook %s lost %d events: %s", self._name, count, advice)
        self.dropped += count

    def _drop_queued(self) -> None:
        count = sum(len(events) for events in self._queue)
        self._queue.clear()
        self._held -= count
        self._drop(count)


def isolated(hook: Callable[[Events], object], *, queue: int = QUEUE, seconds: float = SECONDS) -> Isolated:
    """Return a hook that passes events to ``hook`` later, so that ``hook`` cannot break or stall a run.

    A plain function runs in a thread of its own, an ``async def`` in a task of the running loop. Calls come
    one at a time, in order. If one raises, this is counted, and the first failure is logged.

    **The bound.** A plain function that is slower than the run delays it by at most ``seconds`` in each
    minute, and by ``seconds`` at its end. After that its events are dropped and counted. An async function
    delays a run only at its end, by ``seconds``. If its queue is full, events are dropped. A call of it that
    takes longer than ``seconds`` is cancelled. An async function that blocks the event loop has no bound.

    Args:
        hook: Called with lists of events.
        queue: How many events may wait, including those in the hook. A longer list is taken if the queue is
            empty.
        seconds: The bound. With 0, the hook never delays a run, and nobody waits for it at the end.

    Raises:
        GraphError: an argument is invalid.
    """
    function_for("isolated", hook, "hook", asynchronous=True)
    if is_async(hook):
        return _Awaited(hook, queue=queue, seconds=seconds)  # type: ignore[arg-type]
    return InThread(hook, queue=queue, seconds=seconds)


class InThread(Isolated):
    """A plain function in a thread of its own, as `isolated` describes it."""

    def __init__(
        self,
        hook: Callable[[Events], object],
        *,
        queue: int = QUEUE,
        seconds: float = SECONDS,
        name: str = "",
    ) -> None:
        super().__init__(name or name_of(hook), queue, seconds)
        self._hook = hook
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._minute = monotonic()
        self._delayed = 0.0

    def take(self, events: Events) -> None:
        """Put the events into the queue; wait for room within the bound, else drop them."""
        if not events:
            return
        with self._changed:
            if not self._room_for(len(events)):
                self._drop(len(events))
                return
            self._push(events)
            self._ending = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"penstock {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    async def settle(self) -> None:
        """See ``Isolated.settle``."""
        if self._held or self._thread is not None:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Do what ``settle`` does, in code that is not async."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._thread is None, self._seconds):
                self._drop_queued()

    def _room_for(self, count: int) -> bool:
        if self._fits(count):
            return True
        now = monotonic()
        if now - self._minute >= _MINUTE:
            self._minute, self._delayed = now, 0.0
        left = self._seconds - self._delayed
        found = left > 0 and self._changed.wait_for(lambda: self._fits(count), left)
        self._delayed += monotonic() - now
        return found

    def _work(self) -> None:
        while (events := self._next()) is not None:
            try:
                plain_result(self._hook(events), "isolated", what="the hook")
            except BaseException as error:  # noqa: BLE001  nobody else sees what ends a thread
                self._failed(error)
                taken = 0
            else:
                taken = len(events)
            with self._changed:
                self.delivered += taken
                self._held -= len(events)
                self._changed.notify_all()

    def _next(self) -> Events | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._ending, _LINGER)
            if self._queue:
                return self._queue.popleft()
        try:
            self._finish()
        except BaseException as error:  # noqa: BLE001  as above
            self._failed(error)
        with self._changed:
            if self._queue:  # it came meanwhile
                return self._queue.popleft()
            self._thread = None
            self._changed.notify_all()
            return None

    def _finish(self) -> None:
        """Release what the hook holds. Called in the thread, when no event waits."""


class _Awaited(Isolated):
    """An async function in a task that lives while events wait."""

    def __init__(self, hook: Callable[[Events], Awaitable[object]], *, queue: int, seconds: float) -> None:
        super().__init__(name_of(hook), queue, seconds)
        self._hook = hook
        self._task: asyncio.Task[None] | None = None

    def take(self, events: Events) -> None:
        """Put the events into the queue, or drop them."""
        if not self._fits(len(events)):
            self._drop(len(events))
        elif events:
            loop = asyncio.get_running_loop()
            self._push(events)
            if self._task is None or self._task.done() or self._task.get_loop() is not loop:
                self._task = loop.create_task(self._work(), name=f"penstock {self._name}")

    async def settle(self) -> None:
        """See ``Isolated.settle``."""
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return
        await asyncio.wait({task}, timeout=self._seconds)
        self._drop_queued()
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0)

    async def _work(self) -> None:
        while self._queue:
            events = self._queue.popleft()
            try:
                async with asyncio.timeout(self._seconds or None):
                    await self._hook(events)
                self.delivered += len(events)
            except asyncio.CancelledError as error:
                self._failed(error)
                task: Any = asyncio.current_task()
                if task.cancelling():
                    raise
            except Exception as error:  # noqa: BLE001  telemetry must not end a run
                self._failed(error)
            finally:
                self._held -= len(events)
