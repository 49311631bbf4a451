"""One run of a flow: a clock, and a subscription that its consumer drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from penstock.statistics import Statistics

T_co = TypeVar("T_co", covariant=True)

JSON = Any
"""A value that ``json.dumps`` writes and ``json.loads`` reads back equal."""

Position = dict[str, Any]
"""``{"v": 1, "nodes": {id: state}}``. Store it and pass it back; do not read or change it."""


class Clock(Protocol):
    """The source of timestamps and durations. Tests replace it to control time."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since a fixed moment; this never goes back."""
        ...


class Subscription(ABC, Generic[T_co]):
    """One run of a flow, driven by demand; an async context manager.

    Nothing happens before the first ``request``. Only one ``request`` may be pending at a time. Each
    ``request`` acknowledges all items delivered before it.
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    async def request(self, n: int) -> list[T_co]:
        """Wait for at least one item, and return a new list of 1 to ``n`` items.

        Returns as soon as one item is ready. An empty list means that the flow has completed, and nothing
        else; all later requests return it too. After an error, all later requests raise that error again. A
        cancelled request loses nothing: the next one continues there.

        Raises:
            ValueError: ``n`` is less than 1.
            ConcurrentRequestError: another request is pending.
            SubscriptionClosed: ``aclose`` was called, before or during this request.
            RuntimeError: the first request was made in another event loop.
        """

    @property
    @abstractmethod
    def position(self) -> Position:
        """Where a new run continues after the last delivered item.

        After an error this is before the input that failed.

        Raises:
            NotResumable: a node of the graph cannot be resumed; the message names it.
            PositionError: the state of an operator is not JSON; the message names it.
        """

    @abstractmethod
    def statistics(self) -> Statistics:
        """Return what each stage has done so far."""

    @abstractmethod
    async def settle(self) -> None:
        """Acknowledge all delivered items without requesting more."""

    @abstractmethod
    async def drain(self) -> None:
        """Take no new input. Further requests return the items in flight, then the empty list."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the run and release all its resources. Idempotent, and allowed at any time.

        Pending and later requests raise ``SubscriptionClosed``. Called by code that the run itself awaits
        (a source's ``finally``, a release of ``using``), it starts the closing and returns at once.

        Raises:
            RuntimeError: the run belongs to another event loop, which is not closed.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        try:
            await self.aclose()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"penstock: closing the subscription failed too: {error!r}")  # do not hide exc
