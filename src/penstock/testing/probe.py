"""``Probe``: a subscriber whose demand is the test's, and which tells its story when it is disappointed."""

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

__all__ = ["Probe", "ProbeFailure"]

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

_REAL, _VIRTUAL = 5.0, 1e6


class ProbeFailure(AssertionError):
    """An expectation of a ``Probe`` was not met; the message shows what happened until then."""


class Probe(Generic[T]):
    """Subscribes to a flow, and asks for just as much as it is told to.

    >>> async with Probe(flow) as probe:
    ...     await probe.request(2)
    ...     await probe.expect_next(1, 2)
    ...     await probe.expect_nothing(within=60)
    ...     await probe.expect_completed()

    ``request`` adds to the demand and returns; a task of the probe then requests until the demand is
    met. Items wait in the order in which they came until an expectation takes them. An expectation that
    fails says what it wanted, what came instead, and everything that has happened so far.

    Args:
        flow: What to subscribe to.
        position: Where to start.
        patience: Seconds to wait for what is expected: 5, and a million on a loop in virtual time.
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

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        if self._patience is None:
            self._patience = _VIRTUAL if isinstance(loop, VirtualTimeLoop) else _REAL
        self._subscription = (
            self._flow.subscribe() if self._position is None else self._flow.subscribe(self._position)
        )
        self._tell("subscribed")
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

    # -- what a test does

    @property
    def subscription(self) -> Subscription[T]:
        """The run itself: its position, its statistics, ``settle`` and ``drain``."""
        if self._subscription is None:
            raise RuntimeError("a Probe subscribes when it is entered: async with Probe(flow) as probe: ...")
        return self._subscription

    @property
    def demand(self) -> int:
        """How many items were asked for and have not come."""
        return self._demand

    @property
    def history(self) -> str:
        """What has happened so far, one line each."""
        return "\n".join(self._history)

    async def request(self, n: int) -> None:
        """Ask for ``n`` more items, and give the flow a turn."""
        if n < 1:
            msg = f"request({n}): ask for at least one item"
            raise ValueError(msg)
        subscription = self.subscription
        self._tell(f"request({n})")
        self._demand += n
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._pull(subscription), name="penstock probe")
        await asyncio.sleep(0)

    async def interrupt(self) -> None:
        """Cancel the pending request and forget the demand, as a consumer with a timeout does."""
        self._tell("interrupted")
        self._demand = 0
        await self._stop()

    async def cancel(self) -> None:
        """Close the run."""
        if self._end != "closed":
            self._tell("closed")
        self._end = self._end or "closed"
        await self.subscription.aclose()
        await self._stop()

    # -- what a test expects

    async def expect_next(self, *items: T) -> None:
        """Wait for just these items, in this order; further ones are left for the next expectation."""
        wanted = f"the next items to be {_listed(items)}"
        for index, item in enumerate(items):
            if not await self._until(lambda index=index: len(self._items) > index):
                raise self._failure(wanted, self._missing(index))
            if self._items[index] != item:
                raise self._failure(wanted, f"item {index} of them is {self._items[index]!r}")
        del self._items[: len(items)]

    async def take(self, count: int = 1) -> list[T]:
        """Wait for ``count`` items, whatever they are, and return them."""
        if not await self._until(lambda: len(self._items) >= count):
            raise self._failure(f"{count} more items", self._missing(len(self._items)))
        taken, self._items[:count] = self._items[:count], []
        return taken

    async def expect_completed(self) -> None:
        """Wait for the end; asks for one item if there is no demand, as only a request shows the end."""
        wanted = "the flow to complete"
        await self._expect_end(wanted)
        if self._end != "completed":
            raise self._failure(wanted, self._said_end())

    async def expect_error(self, kind: type[E], match: str = "") -> E:
        """Wait for an error of this kind whose text holds the regular expression ``match``; return it."""
        wanted = f"the flow to fail with {kind.__name__}{f' matching {match!r}' if match else ''}"
        await self._expect_end(wanted)
        error = self._end
        if not isinstance(error, kind) or not re.search(match, str(error)):
            raise self._failure(wanted, self._said_end())
        return error

    async def expect_nothing(self, within: float = 1.0) -> None:
        """Expect that within so many seconds neither an item comes nor an end."""
        wanted = f"nothing to happen within {within:g} s"
        if self._items:
            raise self._failure(wanted, f"{_listed(self._items)} had come already, and nothing expected it")
        before = self._end
        happened = await self._until(lambda: bool(self._items) or self._end != before, within)
        if happened:
            came = _listed(self._items) + " came" if self._items else self._said_end()
            raise self._failure(wanted, came)
        self._tell(f"nothing for {within:g} s")

    # -- inside

    async def _pull(self, subscription: Subscription[T]) -> None:
        while self._demand and self._end is None:
            n = self._demand
            try:
                items = await subscription.request(n)
            except Exception as error:  # noqa: BLE001  it is what the test expects, or is told of
                self._finish(error, f"failed with {error!r}")
                return
            if not items:
                self._finish("completed", "completed")
                return
            self._tell(f"next {_listed(items)}")
            if len(items) > n:
                broken = self._failure(f"at most the {n} items asked for", f"{len(items)} came")
                self._finish(broken, f"broke the law of demand: {len(items)} items for request({n})")
                return
            self._demand = max(self._demand - len(items), 0)
            self._items += items
            self._changed.set()

    def _finish(self, end: str | BaseException, told: str) -> None:
        self._tell(told)
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
        """Wait until ``holds()``; say whether it came to that before the time was up or the run over."""
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
            raise self._failure(wanted, f"{_listed(self._items)} came, and nothing expected it")
        if self._end is None:
            raise self._failure(wanted, f"nothing happened for {self._patience:g} s")

    def _missing(self, came: int) -> str:
        if self._end is not None:
            return f"after {came} of them {self._said_end()}"
        if not self._demand:
            return f"only {came} came, and there is no demand for more: call request() first"
        return f"only {came} came within {self._patience:g} s"

    def _said_end(self) -> str:
        if isinstance(self._end, BaseException):
            return f"it failed with {self._end!r}"
        return f"it is {self._end}" if self._end else "it goes on"

    def _failure(self, wanted: str, came: str) -> ProbeFailure:
        story = "".join(f"\n  {line}" for line in self._history)
        failure = ProbeFailure(f"expected {wanted}, but {came}\nwhat happened:{story}")
        if isinstance(self._end, BaseException):
            failure.__cause__ = self._end
        return failure

    def _tell(self, what: str) -> None:
        seconds = asyncio.get_running_loop().time() - self._began
        self._history.append(f"{round(seconds, 6):g} s: {what}")


def _listed(items: Any) -> str:
    return ", ".join(map(repr, items))
