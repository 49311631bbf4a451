"""``explore`` runs a test under thousands of schedules and boils the first failure down to its race."""

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
    """A test failed under a schedule; its ``__cause__`` is how.

    ``seed`` shows it again, and so do ``deviations``, the few decisions that are needed to make it fail:
    ``replay(test, seed)`` or ``replay(test, seed, deviations=...)``.
    """

    def __init__(self, seed: int, deviations: dict[int, int], text: str) -> None:
        super().__init__(text)
        self.seed = seed
        self.deviations = deviations


@dataclass(frozen=True, slots=True)
class Explored:
    """What was explored without a failure: how many seeds, and how many different schedules they gave.

    One schedule means that the test has nothing to race.
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
    """Run ``test()`` under ``seeds`` schedules, in virtual time, and raise at the first that fails.

    Seed 0 is the order of plain asyncio. The failure of a seed is then run again with ever fewer
    deviations from that order, until none of them can be left out.

    Args:
        test: Returns a fresh coroutine for each schedule. The module ``random`` is seeded before each.
        seeds: How many to try.
        first: The first of them.
        options: Further arguments of ``SeededLoop``; ``replay`` needs the same.

    Raises:
        RaceFound: the test failed: it raised, nothing could run any more, or it did not end.
    """
    schedules: set[str] = set()
    with _kept_random():
        for seed in range(first, first + seeds):
            tried = _try(test, seed, decider_of(seed), options)
            if tried.error is not None:
                raise _Shrinking(test, seed, tried, options).race() from tried.error
            schedules.add(tried.loop.digest)
    return Explored(seeds, len(schedules))


def replay(
    test: Callable[[], Coroutine[Any, Any, T]],
    seed: int = 0,
    *,
    deviations: Deviations | None = None,
    **options: Any,
) -> T:
    """Run ``test()`` once under the schedule of ``seed``, or with ``deviations`` from plain asyncio.

    With deviations, the seed is that of the module ``random`` only.

    Returns what the test returns, and raises what it raises, so that a debugger can stop there.
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


@dataclass(frozen=True, slots=True)
class _Tried:
    """One run of the test: its loop, and how it failed."""

    loop: SeededLoop
    error: BaseException | None


def _try(
    test: Test, seed: int, decider: Decider, options: dict[str, Any],
    *, tell: bool = False,
) -> _Tried:  # fmt: skip
    loop = SeededLoop(decider=decider, **options)
    if tell:
        loop.tell()
    try:
        _run(test, seed, loop)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  also a CancelledError, and what test frameworks raise
        return _Tried(loop, error)
    return _Tried(loop, None)


class _Shrinking:
    """Leaves out deviations of a failing schedule as long as the test fails in the same way."""

    def __init__(
        self,
        test: Test,
        seed: int,
        tried: _Tried,
        options: dict[str, Any],
    ) -> None:
        self._test = test
        self._seed = seed
        self._options = options
        self._error = tried.error
        self._drawn = len(tried.loop.deviations)
        self._least = tried.loop.deviations
        self._runs = 0

    def race(self) -> RaceFound:
        """Return the failure with as few deviations as can be found."""
        part = len(self._least)
        while part:
            self._leave_out(part)
            part = min(part // 2, len(self._least))
        tried = _try(self._test, self._seed, Repeated(self._least), self._options, tell=True)
        return RaceFound(self._seed, self._least, self._text(tried.loop.told or []))

    def _leave_out(self, part: int) -> None:
        """Try to do without each ``part`` neighbouring deviations, from the last to the first."""
        at = len(self._least)
        while at > 0 and self._runs < _MOST_SHRINKING_RUNS:
            kept = list(self._least.items())
            at = min(at, len(kept))
            fewer = dict(kept[: max(at - part, 0)] + kept[at:])
            at -= part
            if (shown := self._fails(fewer)) is not None and len(shown) < len(kept):
                self._least = shown

    def _fails(self, deviations: Deviations) -> dict[int, int] | None:
        """Return those of the deviations that took place, if the test fails in the same way."""
        self._runs += 1
        tried = _try(self._test, self._seed, Repeated(deviations), self._options)
        return tried.loop.deviations if type(tried.error) is type(self._error) else None

    def _text(self, told: list[str]) -> str:
        also = "".join(f", {name}={value!r}" for name, value in self._options.items())
        lines = told[:_MOST_LINES] + [f"and {len(told) - _MOST_LINES} more"][: len(told) > _MOST_LINES]
        happens = "".join(f"\n  {line}" for line in lines) or "\n  nothing: plain asyncio fails too"
        return (
            f"under seed {self._seed} the test fails with {type(self._error).__name__}: {self._error}\n"
            f"replay(test, {self._seed}{also}) shows it again\n"
            f"replay(test, {self._seed}, deviations={self._least!r}{also}) does with "
            f"{len(self._least)} of its {self._drawn} deviations from plain asyncio:{happens}"
        )
