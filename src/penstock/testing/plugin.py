"""Fixtures for pytest, there wherever Penstock is installed.

``virtual_time``
    runs a coroutine in virtual time: ``virtual_time(main())``.
``explore``
    runs a coroutine function under seeded schedules: ``explore(main)``. How many is told by an argument,
    by ``--penstock-seeds``, or by ``penstock_seeds`` in pytest's configuration; 200 otherwise. With
    ``--penstock-seed=74`` it runs that one only, and raises what the test raises.
``no_leaks``
    makes the test fail if it leaves a task, an async generator, a file or an unretrieved exception
    behind. It holds for coroutine functions, whichever plugin runs them, and for what the other two
    fixtures run. ``pytestmark = pytest.mark.usefixtures("no_leaks")`` asks for it in a whole module.

pytest loads the small module ``penstock_pytest``, which imports nothing of Penstock until a fixture is
used, so that an unconcerned test run pays nothing and coverage sees every line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.testing.exploring import Explored, RaceFound, explore, replay
from penstock.testing.leaks import no_leaks
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Explorer", "runner", "without_leaks"]

T = TypeVar("T")


def without_leaks(function: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Return a coroutine function that does the same and raises ``Leak`` if something is left behind."""

    @wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> T:
        async with no_leaks():
            return await function(*args, **kwargs)

    return checked


def runner(*, leaks: bool) -> Callable[[Coroutine[Any, Any, T]], T]:
    """Return what runs a coroutine in virtual time; if ``leaks``, they are looked for."""

    async def awaited(main: Coroutine[Any, Any, T]) -> T:
        return await main

    return lambda main: run(without_leaks(awaited)(main) if leaks else main)


@dataclass(frozen=True, slots=True)
class Explorer:
    """What the fixture ``explore`` is: ``explore`` with the seeds of the command line."""

    seeds: int
    only: int | None
    test: str
    leaks: bool

    def __call__(
        self, main: Callable[[], Coroutine[Any, Any, object]], *, seeds: int | None = None, **options: Any
    ) -> Explored:
        """Run ``main()`` under each seed; further arguments as of ``penstock.testing.explore``.

        Raises:
            RaceFound: it failed under one of them; the error says how pytest runs that one alone.
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
