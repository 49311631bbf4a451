"""The parts of the pytest plugin ``penstock_pytest`` that import Penstock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.testing.exploring import Explored, RaceFound, explore, replay
from penstock.testing.leaks import no_leaks
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["Explorer", "runner", "without_leaks"]

T = TypeVar("T")


async def _checked(main: Awaitable[T]) -> T:
    async with no_leaks():
        return await main


def without_leaks(function: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Return ``function`` with a check that raises ``Leak`` if it leaves something behind."""

    @wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> T:
        return await _checked(function(*args, **kwargs))

    return checked


def runner(*, leaks: bool) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Return a function that runs a coroutine in virtual time, and with ``leaks`` checks for leaks."""
    return (lambda main: run(_checked(main))) if leaks else run


@dataclass(frozen=True, slots=True)
class Explorer:
    """The fixture ``explore``: ``penstock.testing.explore`` with the seeds of the command line."""

    seeds: int
    only: int | None
    test: str
    leaks: bool

    def __call__(
        self, main: Callable[[], Coroutine[Any, Any, object]], *, seeds: int | None = None, **options: Any
    ) -> Explored:
        """Run ``main()`` under each seed, as ``penstock.testing.explore`` does with the same arguments.

        Raises:
            RaceFound: ``main`` failed under a seed; a note says how pytest runs that seed alone.
        """
        checked = without_leaks(main) if self.leaks else main
        if self.only is not None:
            replay(checked, self.only, **options)
            return Explored(1, 1)
        try:
            return explore(checked, seeds=seeds or self.seeds, **options)
        except RaceFound as race:
            race.add_note(f"pytest --penstock-seed={race.seed} '{self.test}' runs this schedule alone")
            raise
