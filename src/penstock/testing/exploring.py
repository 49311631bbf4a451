"""``explore`` runs a test under thousands of schedules, and reduces the first failure to its race."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.testing.decisions import Repeated, decider_of
from penstock.testing.seeded import SeededLoop
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from penstock.testing.decisions import Decider

    Deviations = Mapping[int, int]
    Test = Callable[[], Coroutine[Any, Any, object]]

__all__ = ["Explored", "RaceFound", "explore", "replay"]

T = TypeVar("T")

_MOST_SHRINKING_RUNS = 1_000
_MOST_LINES = 12


class RaceFound(AssertionError):
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
    with _kept_random():
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
    with _kept_random():
        return _run(test, seed, SeededLoop(decider=decider, **options))


@contextmanager
def _kept_random() -> Iterator[None]:
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _run(test: Callable[[], Coroutine[Any, Any, T]], seed: int, loop: SeededLoop) -> T:
    random.seed(seed)

    async def main() -> T:
        return await test()  # called here, where a loop runs

    return run(main(), loop_factory=lambda: loop)


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


class _Shrinking:
    """Leaves out deviations of a failing schedule as long as the test fails with the same type of error."""

    def __init__(
        self,
        test: Test,
        seed: int,
        error: BaseException,
        deviations: dict[int, int],
        options: dict[str, Any],
    ) -> None:
        self._test = test
        self._seed = seed
        self._error = error
        self._least = deviations
        self._drawn = len(deviations)
        self._options = options
        self._runs = 0

    def race(self) -> RaceFound:
        """Return the failure with as few deviations as can be found."""
        part = len(self._least)
        while part:
            self._leave_out(part)
            part = min(part // 2, len(self._least))
        trace: list[str] = []
        _try(self._test, self._seed, Repeated(self._least), self._options, trace)
        return RaceFound(self._seed, self._least, self._text(trace))

    def _leave_out(self, part: int) -> None:
        """Try to leave out each ``part`` neighbouring deviations, from the last to the first."""
        at = len(self._least)
        while at > 0 and self._runs < _MOST_SHRINKING_RUNS:
            kept = list(self._least.items())
            at = min(at, len(kept))
            fewer = dict(kept[: max(at - part, 0)] + kept[at:])
            at -= part
            if (shown := self._fails(fewer)) is not None and len(shown) < len(kept):
                self._least = shown

    def _fails(self, deviations: Deviations) -> dict[int, int] | None:
        """Return the deviations that happened, if the test fails with the same type of error."""
        self._runs += 1
        loop, error = _try(self._test, self._seed, Repeated(deviations), self._options)
        return loop.deviations if type(error) is type(self._error) else None

    def _text(self, trace: list[str]) -> str:
        also = "".join(f", {name}={value!r}" for name, value in self._options.items())
        lines = trace[:_MOST_LINES] + [f"and {len(trace) - _MOST_LINES} more"][: len(trace) > _MOST_LINES]
        happens = (
            "".join(f"\n  {line}" for line in lines) or "\n  none: this is no race, plain asyncio fails too"
        )
        return (
            f"under seed {self._seed} the test fails with {type(self._error).__name__}: {self._error}\n"
            f"replay(test, {self._seed}{also}) shows it again\n"
            f"replay(test, {self._seed}, deviations={self._least!r}{also}) shows it with "
            f"{len(self._least)} of its {self._drawn} deviations from plain asyncio:{happens}"
        )
