"""The program of a ``map_process`` worker, run in the test's own process."""

from __future__ import annotations

import io
import itertools
import operator
import os
import pickle
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.operators.concurrency import process_worker
from penstock.system.frames import framed as frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def unframed(data: bytes) -> Iterator[Any]:
    """Yield the unpickled frames."""
    while data:
        size = int.from_bytes(data[:8], "big")
        yield loaded(data[8 : 8 + size])
        data = data[8 + size :]


def loaded(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301  what the program under test wrote


def setup(function: Any, main: Any = None) -> bytes:
    return pickle.dumps((main, pickle.dumps(function)))


def question(*items: Any) -> bytes:
    return pickle.dumps([pickle.dumps(item) for item in items])


def spoken_with(monkeypatch: pytest.MonkeyPatch, said: bytes) -> list[Any]:
    """Run the program with ``said`` as its standard input, and return its answers."""
    reads, writes = os.pipe()
    errors = os.open(os.devnull, os.O_WRONLY)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(said)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(fileno=lambda: writes))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(fileno=lambda: errors))
    ticks = itertools.count()
    try:
        process_worker.main(lambda: next(ticks) / 1000)
    finally:
        os.close(writes)
        os.close(errors)
        with os.fdopen(reads, "rb") as answers:
            data = answers.read()
    return list(unframed(data))


def answered(answers: list[Any]) -> list[list[Any]]:
    """Return the results of each answer."""
    return [[loaded(one) for one in results] for results, _, _ in answers]


def test_lists_of_items_are_answered_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame behind the first one is answered with the results and the seconds it took."""
    said = frame(setup(partial(operator.mul, 2))) + frame(question(1, 2)) + frame(question(3))
    answers = spoken_with(monkeypatch, said)
    assert answered(answers) == [[2, 4], [6]]
    assert all(failure is None and seconds > 0 for _, failure, seconds in answers)


def test_results_of_a_long_list_are_sent_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five milliseconds the results so far are sent, before the list is done."""
    answers = spoken_with(monkeypatch, frame(setup(abs)) + frame(question(*range(9))))
    assert answered(answers) == [[0, 1, 2, 3, 4, 5], [6, 7, 8]]
    assert [seconds is None for _, _, seconds in answers] == [True, False]


def test_a_failure_comes_behind_what_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is sent behind the results before it, as text and pickled; the list ends there."""
    answers = spoken_with(monkeypatch, frame(setup(partial(operator.floordiv, 6))) + frame(question(2, 0, 1)))
    ((_, (data, text, trace), _),) = answers
    assert answered(answers) == [[3]]
    assert isinstance(loaded(data), ZeroDivisionError)
    assert text.startswith("ZeroDivisionError: ")
    assert "Traceback" in trace


@pytest.mark.parametrize("cut", [3, 11])
def test_a_frame_that_was_cut_off_ends_it(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    """Half a frame, as from a parent that was killed while writing, ends the program."""
    whole = frame(setup(abs)) + frame(question(-1))
    assert answered(spoken_with(monkeypatch, whole + frame(question(-2))[:cut])) == [[1]]


def test_a_stray_stop_iteration_and_what_cannot_be_made_again() -> None:
    """``StopIteration`` is sent as a ``RuntimeError``; an exception that cannot be unpickled, as text only."""

    class Local(Exception):
        pass

    data, text, _ = process_worker.failed(StopIteration(3))
    assert isinstance(loaded(data or b""), RuntimeError)
    assert text == "RuntimeError: map_process: the function raised StopIteration"
    data, text, _ = process_worker.failed(Local("here"))
    assert (data, text) == (None, "Local: here")


@pytest.mark.parametrize("kind", ["path", "module"])
def test_what_the_main_program_defines_is_found(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main program is run once, as ``__mp_main__`` and with ``PREPARING`` set; its guarded part is not run."""
    (tmp_path / "worked_for.py").write_text(
        "import os\n"
        f"prepared = os.environ[{process_worker.PREPARING!r}]\n"
        "def thrice(x): return 3 * x\n"
        "if __name__ == '__main__': raise SystemExit\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    where = str(tmp_path / "worked_for.py") if kind == "path" else "worked_for"
    monkeypatch.setitem(sys.modules, "__mp_main__", ModuleType("__mp_main__"))
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    by_name = b"\x80\x04c__main__\nthrice\n."  # what pickle writes of a function of the main program
    server = process_worker.Server(pickle.dumps(((kind, where), by_name)), lambda: 0.0, find_main=True)
    assert [loaded(next(server.answer(question(x)))) for x in (1, 2)] == [
        ([pickle.dumps(3, pickle.HIGHEST_PROTOCOL)], None, 0.0),
        ([pickle.dumps(6, pickle.HIGHEST_PROTOCOL)], None, 0.0),
    ]
    assert sys.modules["__main__"].prepared == where
    assert process_worker.PREPARING not in os.environ


def test_without_a_main_program_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """In an interactive session there is no main program to run."""
    main = sys.modules["__main__"]
    process_worker.prepare(None)
    assert sys.modules["__main__"] is main
