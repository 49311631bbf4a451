"""``Probe``: a subscriber for tests, which requests what the test says, and checks what comes."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from penstock.testing.time import VirtualTimeLoop

if TYPE_CHECKING:
    from types import TracebackType

    from penstock.abc import Position, Subscription
    from penstock.testing.laws.subject import AnyFlow

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

_REAL, _VIRTUAL = 5.0, 1e6


class ProbeFailure(AssertionError):
    """An expectation of a ``Probe`` was not met; the message shows its history."""


class Probe(Generic[T]):
    """Subscribes to a flow, and requests just as much as the test says.

    >>> async with Probe(flow) as probe:
    ...     await probe.request(2)
    ...     await probe.expect_next(1, 2)
    ...     await probe.expect_nothing(within=60)
    ...     await probe.expect_completed()

    ``request`` adds to the demand and returns; a task of the probe requests until the demand is met. Items
    are kept in order until an expectation takes them. An expectation that fails says what it wanted, what
    came instead, and everything that happened so far.

    Args:
        flow: The flow to subscribe to.
        position: The position to start from.
        patience: How many seconds an expectation waits: by default 5, or a million in virtual time.
    """

    def __init__(
        self, flow: AnyFlow, position: Position | None = None, *, patience: float | None = None
    ) -> None:
        self._flow = flow
        self._position = position
        self._patience = patience
        self._subscription: Subscription[T] | None = None
        self._demand = 0
        self._items: list[T] = []
        self._end: str | BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._history: list[str] = []
        self._began = 0.0

    def __repr__(self) -> str:
        return f"<Probe of {self._flow!r}>"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        if self._patience is None:
            self._patience = _VIRTUAL if isinstance(loop, VirtualTimeLoop) else _REAL
        start = () if self._position is None else (self._position,)
        self._subscription = self._flow.subscribe(*start)
        self._record("subscribed")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.cancel()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"closing the probe failed too: {error!r}")

    # -- actions

    @property
    def subscription(self) -> Subscription[T]:
        """The run itself: its position, its statistics, ``settle`` and ``drain``."""
        if self._subscription is None:
            raise RuntimeError(
                "this Probe has not subscribed; use it as: async with Probe(flow) as probe: ..."
            )
        return self._subscription

    @property
    def demand(self) -> int:
        """How many requested items have not come yet."""
        return self._demand

    @property
    def history(self) -> str:
        """Everything that happened so far, one line each."""
        return "\n".join(self._history)

    async def request(self, n: int) -> None:
        """Request ``n`` more items, and let the event loop turn once."""
        if n < 1:
            raise ValueError(f"request({n}): request at least one item")
        subscription = self.subscription
        self._record(f"request({n})")
        self._demand += n
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._pull(subscription), name="penstock probe")
        await asyncio.sleep(0)

    async def interrupt(self) -> None:
        """Cancel the pending request and set the demand to 0, as a consumer with a timeout does."""
        self._record("interrupted")
        self._demand = 0
        await self._stop()

    async def cancel(self) -> None:
        """Close the subscription."""
        if self._end != "was closed":
            self._record("closed")
        self._end = self._end or "was closed"
        await self.subscription.aclose()
        await self._stop()

    # -- expectations

    async def expect_next(self, *items: T) -> None:
        """Wait for these items, in this order; later items are left for the next expectation."""
        wanted = f"the next items to be {_listed(items)}"
        for index, item in enumerate(items):
            if not await self._until(lambda index=index: len(self._items) > index):
                raise self._failure(wanted, self._missing(index))
            if self._items[index] != item:
                raise self._failure(wanted, f"item {index} was {self._items[index]!r}")
        del self._items[: len(items)]

    async def take(self, count: int = 1) -> list[T]:
        """Wait for any ``count`` items, and return them."""
        if not await self._until(lambda: len(self._items) >= count):
            raise self._failure(f"{count} more items", self._missing(len(self._items)))
        taken, self._items[:count] = self._items[:count], []
        return taken

    async def expect_completed(self) -> None:
        """Wait for completion. Requests one item if there is no demand, as only a request can complete."""
        wanted = "the flow to complete"
        await self._expect_end(wanted)
        if self._end != "completed":
            raise self._failure(wanted, self._ending())

    async def expect_error(self, kind: type[E], match: str = "") -> E:
        """Wait for an error of the type ``kind``, and return it.

        Args:
            kind: The type of the error.
            match: A regular expression, searched for in the text of the error.
        """
        wanted = f"the flow to fail with {kind.__name__}{f' matching {match!r}' if match else ''}"
        await self._expect_end(wanted)
        error = self._end
        if not isinstance(error, kind) or not re.search(match, str(error)):
            raise self._failure(wanted, self._ending())
        return error

    async def expect_nothing(self, within: float = 1.0) -> None:
        """Expect that neither an item nor the end comes within this many seconds."""
        wanted = f"nothing to happen within {within:g} s"
        if self._items:
            raise self._failure(wanted, f"{_listed(self._items)} had come before, and no expectation took it")
        before = self._end
        if await self._until(lambda: bool(self._items) or self._end != before, within):
            came = f"{_listed(self._items)} came" if self._items else self._ending()
            raise self._failure(wanted, came)
        self._record(f"nothing for {within:g} s")

    # -- internals

    async def _pull(self, subscription: Subscription[T]) -> None:
        while self._demand and self._end is None:
            n = self._demand
            try:
                items = await subscription.request(n)
            except Exception as error:  # noqa: BLE001  the test may expect this error
                self._finish(error, f"failed with {error!r}")
                return
            if not items:
                self._finish("completed", "completed")
                return
            self._record(f"next {_listed(items)}")
            if len(items) > n:
                broken = self._failure(f"at most the {n} requested items", f"{len(items)} came")
                self._finish(broken, f"broke the law of demand: {len(items)} items for request({n})")
                return
            self._demand = max(self._demand - len(items), 0)
            self._items += items
            self._changed.set()

    def _finish(self, end: str | BaseException, event: str) -> None:
        self._record(event)
        self._end = self._end or end
        self._demand = 0
        self._changed.set()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _until(self, holds: Any, seconds: float | None = None) -> bool:
        """Wait until ``holds()``, the end of the run, or a timeout; return whether it holds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience if seconds is None else seconds):
                while not holds() and (seconds is not None or self._end is None):
                    self._changed.clear()
                    await self._changed.wait()
        return bool(holds())

    async def _expect_end(self, wanted: str) -> None:
        if self._end is None and not self._demand and not self._items:
            await self.request(1)
        await self._until(lambda: bool(self._items) or self._end is not None)
        if self._items:
            raise self._failure(wanted, f"{_listed(self._items)} came, and no expectation took it")
        if self._end is None:
            raise self._failure(wanted, f"nothing happened for {self._patience:g} s")

    def _missing(self, came: int) -> str:
        if self._end is not None:
            return f"after {came} of them {self._ending()}"
        if not self._demand:
            return f"only {came} came, and there is no demand for more; call request() first"
        return f"only {came} came within {self._patience:g} s"

    def _ending(self) -> str:
        if isinstance(self._end, BaseException):
            return f"the flow failed with {self._end!r}"
        return f"the flow {self._end}" if self._end else "the flow goes on"

    def _failure(self, wanted: str, came: str) -> ProbeFailure:
        history = "".join(f"\n  {line}" for line in self._history)
        failure = ProbeFailure(f"expected {wanted}, but {came}\nhistory:{history}")
        if isinstance(self._end, BaseException):
            failure.__cause__ = self._end
        return failure

    def _record(self, event: str) -> None:
        seconds = asyncio.get_running_loop().time() - self._began
        self._history.append(f"{round(seconds, 6):g} s: {event}")


def _listed(items: Any) -> str:
    return ", ".join(map(repr, items))
