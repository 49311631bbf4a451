"""Laws 11 and 13: leave the loop to others now and then, and say where an error came from."""

from __future__ import annotations

import asyncio
import re
import traceback
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

from penstock.testing.laws.runs import collect, open_run, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.script import Planted, Poison, Raise
from penstock.testing.time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["errors_speak", "fair"]

_ITEM = 0.0002
"""Real seconds that one item is made to take: 25 of them are the 5 ms a stage may go on for."""

_MOST_BETWEEN_TURNS = 150
"""Items between two turns of the loop: six times what the law allows, so that no machine is too slow.

A slow or busy machine makes items take longer, and so makes turns come after fewer of them.
"""


def fair(subject: Subject, *, items: int = 500, n: int = 1_000_000) -> None:
    """Law 11: a run that never has to wait still lets others run.

    The first input gives ``items`` integers, each of which costs a fifth of a millisecond of real
    computing; counted is how many of them pass between two turns of the loop. ``n`` is requested.
    """
    busy = subject.with_input(0, _Costly(items), pace=(), model=None) if subject.inputs else subject

    async def main() -> None:
        beat = _Heartbeat()
        trial = busy.start(on_handed=beat.item)
        async with open_run(trial.flow) as subscription:
            await collect(subscription, (n,), patience=subject.patience)
        text = f"{beat.worst} costly items passed without a turn of the loop for anybody else"
        require(beat.worst <= _MOST_BETWEEN_TURNS, "fair", text)

    judge("fair", main, items=items, n=n, subject=subject)


class _Heartbeat:
    """Counts the items that are handed over between two turns of the loop."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)  # noqa: S101  judge runs it on one
        self.loop = loop
        self.turn = self.since = self.worst = 0

    def item(self) -> None:
        if self.turn != self.loop.turns:
            self.turn, self.since = self.loop.turns, 0
        self.since += 1
        self.worst = max(self.worst, self.since)
        began = perf_counter()
        while (spent := perf_counter() - began) < _ITEM:
            pass
        self.loop.advance(spent)  # for stages that read the loop's clock, as ours do


class _Costly(tuple[int, ...]):
    """``range(items)`` as a script that shows briefly."""

    __slots__ = ()

    def __new__(cls, items: int) -> Self:
        return super().__new__(cls, range(items))

    def __repr__(self) -> str:
        return f"range({len(self)})"


def errors_speak(subject: Subject, *, operator: str | None = None, file: str | None = None) -> None:
    """Law 13: an error keeps its type and traceback, and gains a note with operator, file and line.

    The source fails (any place may be named: a source is made where the check runs), and each item is
    poisoned. A stray ``StopIteration`` must become a ``RuntimeError``.

    Args:
        subject: What is checked.
        operator: A name that the note must hold, if known.
        file: The file in which the flow is assembled; the one in which the factory stands, unless given.
    """
    place = file or Path(subject.factory.__code__.co_filename).name

    async def main() -> None:
        for index, script in enumerate(subject.inputs):
            error = await _error_of(subject.ending(index, len(script) // 2, Raise()))
            if error is not None:
                require(isinstance(error, Planted), "errors_speak", f"a source's Planted became {error!r}")
                _check_note(error, None, ".py")
        for poisoned in _poisoned(subject, partial(Planted, "planted")):
            error = await _error_of(poisoned)
            if error is not None:
                require(isinstance(error, Planted), "errors_speak", f"a function's Planted became {error!r}")
                _check_note(error, operator, place)
                _check_traceback(error)
        for poisoned in _poisoned(subject, partial(StopIteration, "stray")):
            await _check_stop_iteration(subject, poisoned)

    judge("errors_speak", main, operator=operator, file=place, subject=subject)


def _poisoned(subject: Subject, make: Any) -> Iterator[Subject]:
    for index, at in subject.places():
        script: Sequence[Any] = subject.inputs[index]
        if at < len(script) and type(script[at]) is int:
            yield subject.cut_input(index, at, [Poison(script[at], make), *script[at + 1 :]])


async def _error_of(subject: Subject) -> BaseException | None:
    async with open_run(subject.start().flow) as subscription:
        return (await collect(subscription, (2,), patience=subject.patience)).error


def _check_note(error: BaseException, operator: str | None, place: str) -> None:
    notes: list[str] = getattr(error, "__notes__", [])
    located = [note for note in notes if re.search(re.escape(place) + r":\d+", note)]
    text = f"no note says where the failing operator was assembled ({place}:line)"
    require(bool(located), "errors_speak", text, notes=notes)
    named = operator is None or any(re.search(rf"\b{re.escape(operator)}\b", note) for note in located)
    require(named, "errors_speak", f"no note names the operator {operator}", notes=notes)


def _check_traceback(error: BaseException) -> None:
    """Find the line that raised in the traceback, or in a note: no traceback crosses from another process."""
    entries, file = traceback.extract_tb(error.__traceback__), Poison.__new__.__code__.co_filename
    notes: list[str] = getattr(error, "__notes__", [])
    kept = any(entry.filename == file for entry in entries) or any(
        f'"{file}", line' in note for note in notes
    )
    text = "the traceback does not reach the line that raised"
    require(kept, "errors_speak", text, traceback=[str(entry) for entry in entries])


async def _check_stop_iteration(subject: Subject, poisoned: Subject) -> None:
    async with open_run(poisoned.start().flow) as subscription:
        outcome = await collect(subscription, (2,), patience=subject.patience)
    if outcome.error is not None:
        text = f"a user's StopIteration became {outcome.error!r} instead of a RuntimeError"
        require(isinstance(outcome.error, RuntimeError), "errors_speak", text)
        return
    # no error: either no function computes with the item, or the StopIteration ended the run silently
    async with open_run(subject.start().flow) as subscription:
        whole = await collect(subscription, (2,), patience=subject.patience)
    text = "a user's StopIteration ended the run silently, or dropped items"
    require(
        len(outcome.items) == len(whole.items), "errors_speak", text, came=outcome.items, wanted=whole.items
    )
