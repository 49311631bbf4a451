"""Law 13: an error says where it came from."""

from __future__ import annotations

import re
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.runs import outcome_of
from penstock.testing.laws.subject import Subject, judge, require
from penstock.testing.script import Planted, Poison, Raise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


_OTHERS = {"penstock", "IPython", "traitlets"}
"""Packages whose code runs while a flow is assembled: Penstock asks IPython for the names of cells."""


def errors_speak(subject: Subject, *, operator: str | None = None, file: str | None = None) -> None:
    """Law 13: an error keeps its type and traceback, and gains a note with operator, file and line.

    Fails the source (its note may name any place), and poisons each item. A stray ``StopIteration`` must
    become a ``RuntimeError``.

    Args:
        subject: The subject.
        operator: A name that the note must have, if known.
        file: The file that assembles the flow. ``None`` accepts each file outside of Penstock whose code
            the factory runs: its own one, and those of operators that it uses.
    """

    async def main() -> None:
        places = [file] if file is not None else _files_of(subject)
        for index, script in enumerate(subject.inputs):
            error = (await outcome_of(subject.ending(index, len(script) // 2, Raise()), (2,))).error
            if error is not None:
                _check_type(error, "a source")
                _check_note(error, None, [])
        for poisoned in _poisoned(subject, partial(Planted, "planted")):
            error = (await outcome_of(poisoned, (2,))).error
            if error is not None:
                _check_type(error, "a function")
                _check_note(error, operator, places)
                _check_traceback(error)
        for poisoned in _poisoned(subject, partial(StopIteration, "stray")):
            await _check_stop_iteration(subject, poisoned)

    judge("errors_speak", main, operator=operator, file=file, subject=subject)


def _files_of(subject: Subject) -> list[str]:
    """Return the names of the files whose functions the factory runs, without Penstock's and Python's."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if event == "call" and package not in _OTHERS and package not in sys.stdlib_module_names:
            files.add(Path(frame.f_code.co_filename).name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        subject.start()
    finally:
        sys.setprofile(before)
    return sorted(files)


def _poisoned(subject: Subject, make: Any) -> Iterator[Subject]:
    for index, at in subject.places():
        if (poisoned := subject.poisoned(index, at, make)) is not None:
            yield poisoned


def _check_type(error: BaseException, culprit: str) -> None:
    text = f"the error of {culprit}, Planted, should be raised unchanged; the run failed with {error!r}"
    require(isinstance(error, Planted), "errors_speak", text)


def _check_note(error: BaseException, operator: str | None, places: Sequence[str]) -> None:
    notes: list[str] = getattr(error, "__notes__", [])
    place = "|".join(map(re.escape, places)) or r"\S"
    located = [note for note in notes if re.search(f"(?:{place}):\\d+", note)]
    named = " or ".join(places) or "file"
    text = f"a note of the error should say where the operator was assembled, as {named}:line; use add_note()"
    require(bool(located), "errors_speak", text, notes=notes)
    told = operator is None or any(re.search(rf"\b{re.escape(operator)}\b", note) for note in located)
    require(told, "errors_speak", f"a note should name the operator {operator}", notes=notes)


def _check_traceback(error: BaseException) -> None:
    """Find the line that raised in the traceback, or, after a process boundary, in a note."""
    entries, file = traceback.extract_tb(error.__traceback__), Poison.__new__.__code__.co_filename
    notes: list[str] = getattr(error, "__notes__", [])
    kept = any(entry.filename == file for entry in entries) or any(
        f'"{file}", line' in note for note in notes
    )
    text = "the traceback should reach the line that raised; keep it when the error is stored"
    require(
        kept,
        "errors_speak",
        text,
        traceback=[f"{entry.filename}:{entry.lineno} in {entry.name}" for entry in entries],
    )


async def _check_stop_iteration(subject: Subject, poisoned: Subject) -> None:
    outcome = await outcome_of(poisoned, (2,))
    if outcome.error is not None:
        text = f"a function's StopIteration should become a RuntimeError; it became {outcome.error!r}"
        require(isinstance(outcome.error, RuntimeError), "errors_speak", text)
        return
    # no error: either no function computes with the item, or the StopIteration ended the run silently
    whole = await outcome_of(subject, (2,))
    text = "a function's StopIteration should become a RuntimeError; it ended the run, or dropped items"
    complete = len(outcome.items) == len(whole.items)
    require(complete, "errors_speak", text, came=outcome.items, wanted=whole.items)
