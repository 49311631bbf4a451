"""``explore`` runs a test under thousands of schedules, and reduces the first failure to its race."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import Pickled
from penstock.testing.decisions import Repeated, decider_of
from penstock.testing.seeded import SeededLoop
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from penstock.testing.decisions import Decider

    Deviations = Mapping[int, int]
    Test = Callable[[], Coroutine[Any, Any, object]]

T = TypeVar("T")

_MOST_SHRINKING_RUNS = 1_000
_MOST_LINES = 12


class RaceFound(Pickled, AssertionError):
    """A test failed under a schedule; ``__cause__`` is its error.

    ``replay(test, seed)`` shows the failure again, and so does ``replay(test, seed, deviations=...)`` with
    the few decisions that are needed to make the test fail.
    """

    def __init__(self, seed: int, deviations: dict[int, int], text: str) -> None:
        super().__init__(text)
        self.seed = seed
        self.deviations = deviations


@dataclass(frozen=True, slots=True)
class Explored:
    """The number of seeds that passed, and the number of different schedules among them.

    One schedule means that the test has no races to find.
    """

    seeds: int
    schedules: int


def explore(
    test: Callable[[], Coroutine[Any, Any, object]],
    *,
    seeds: int = 10_000,
    first: int = 0,
    **options: Any,
) -> Explored:
    """Run ``test()`` under ``seeds`` schedules, in virtual time, and raise at the first failure.

    Seed 0 is the order of plain asyncio. A failing schedule is run again with ever fewer deviations from
    that order, until all deviations that remain are needed.

    Args:
        test: Returns a fresh coroutine for each schedule. The module ``random`` is seeded before each.
        seeds: How many seeds to try.
        first: The first seed.
        options: Further arguments of ``SeededLoop``; give the same ones to ``replay``.

    Raises:
        RaceFound: the test raised, did not end, or waited for ever.
    """
    schedules: set[str] = set()
    for seed in range(first, first + seeds):
        loop, error = _try(test, seed, decider_of(seed), options)
        if error is not None:
            raise _Shrinking(test, seed, error, loop.deviations, options).race() from error
        schedules.add(loop.digest)
    return Explored(seeds, len(schedules))


def replay(
    test: Callable[[], Coroutine[Any, Any, T]],
    seed: int = 0,
    *,
    deviations: Deviations | None = None,
    **options: Any,
) -> T:
    """Run ``test()`` once under the schedule of ``seed``, or with ``deviations`` from plain asyncio.

    With deviations, the seed only seeds the module ``random``.

    Returns the result of the test, and raises its own error, at which a debugger can stop.
    """
    decider = decider_of(seed) if deviations is None else Repeated(deviations)
    return _run(test, seed, SeededLoop(decider=decider, **options))


def _run(test: Callable[[], Coroutine[Any, Any, T]], seed: int, loop: SeededLoop) -> T:
    async def main() -> T:
        return await test()  # called here, where a loop runs

    state = random.getstate()
    random.seed(seed)
    try:
        return run(main(), loop_factory=lambda: loop)
    finally:
        random.setstate(state)


def _try(
    test: Test, seed: int, decider: Decider, options: dict[str, Any], trace: list[str] | None = None
) -> tuple[SeededLoop, BaseException | None]:
    """Run the test once; return its loop, and its error if it failed."""
    loop = SeededLoop(decider=decider, trace=trace, **options)
    try:
        _run(test, seed, loop)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  also CancelledError, and the errors of test frameworks
        return loop, error
    return loop, None


@dataclass(slots=True)
class _Shrinking:
    """Leaves out deviations of a failing schedule as long as the test fails with the same type of error."""

    test: Test
    seed: int
    error: BaseException
    least: dict[int, int]
    options: dict[str, Any]
    runs: int = 0

    def race(self) -> RaceFound:
        """Return the failure with as few deviations as can be found."""
        drawn = len(self.least)
        part = drawn
        while part:
            self._leave_out(part)
            part = min(part // 2, len(self.least))
        trace: list[str] = []
        _try(self.test, self.seed, Repeated(self.least), self.options, trace)
        return RaceFound(self.seed, self.least, self._text(drawn, trace))

    def _leave_out(self, part: int) -> None:
        """Try to leave out each ``part`` neighbouring deviations, from the last to the first."""
        at = len(self.least)
        while at > 0 and self.runs < _MOST_SHRINKING_RUNS:
            kept = list(self.least.items())
            at = min(at, len(kept))
            fewer = dict(kept[: max(at - part, 0)] + kept[at:])
            at -= part
            if (shown := self._fails(fewer)) is not None and len(shown) < len(kept):
                self.least = shown

    def _fails(self, deviations: Deviations) -> dict[int, int] | None:
        """Return the deviations that happened, if the test fails with the same type of error."""
        self.runs += 1
        loop, error = _try(self.test, self.seed, Repeated(deviations), self.options)
        return loop.deviations if type(error) is type(self.error) else None

    def _text(self, drawn: int, trace: list[str]) -> str:
        also = "".join(f", {name}={value!r}" for name, value in self.options.items())
        lines = trace[:_MOST_LINES] + [f"and {len(trace) - _MOST_LINES} more"][: len(trace) > _MOST_LINES]
        happens = (
            "".join(f"\n  {line}" for line in lines) or "\n  none: this is no race, plain asyncio fails too"
        )
        return (
            f"under seed {self.seed} the test fails with {type(self.error).__name__}: {self.error}\n"
            f"replay(test, {self.seed}{also}) shows it again\n"
            f"replay(test, {self.seed}, deviations={self.least!r}{also}) shows it with "
            f"{len(self.least)} of its {drawn} deviations from plain asyncio:{happens}"
        )
