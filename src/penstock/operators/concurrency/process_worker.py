"""The program of a ``map_process`` worker. It imports only the standard library, so that it starts quickly.

It reads frames from standard input and writes frames to standard output.

The first frame holds the pickled ``(main, function)``. ``main`` says how to find the program that was
started: ``("path", file)``, ``("module", name)`` or ``None``. ``function`` is the pickled function.

Each further frame is a pickled list of pickled items. The answer is one or more frames with a pickled
``(results, failure, seconds)``:

- ``results``: pickled results, in order.
- ``failure``: ``None``, or the error of the item behind them as ``(pickled exception or None, its text, its
  traceback)``.
- ``seconds``: the seconds that the whole list took if this answer is the last, otherwise ``None``.
"""

from __future__ import annotations

import os
import pickle
import runpy
import sys
import traceback
from inspect import iscoroutine
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Failed = tuple["bytes | None", str, str]

FLUSH = 0.005
"""Seconds after which results are sent even if the list is not done."""

PREPARING = "PENSTOCK_WORKER_PREPARING"
"""Set in the environment while a worker runs the main program to find what it defines."""

NOT_AWAITED = "map_process: the function returned a coroutine, and map_process does not await. Use map_async."

_LENGTH = 8  # as in penstock.system.processes, which is not imported here


class Server:
    """Calls the function for lists of items.

    Args:
        setup: The first frame.
        clock: Returns seconds since some fixed moment.
        find_main: Whether the started program must be run first to find what it defines: in another process.
    """

    def __init__(self, setup: bytes, clock: Callable[[], float], *, find_main: bool) -> None:
        self._main, self._pickled = pickle.loads(setup)  # noqa: S301  from the parent
        self._clock = clock
        self._find_main = find_main
        self._function: Callable[[Any], Any] | None = None

    def answer(self, question: bytes) -> Iterator[bytes]:
        """Yield the answers to one list of items."""
        clock = self._clock
        began = sent = clock()
        results: list[bytes] = []
        for item in pickle.loads(question):  # noqa: S301  from the parent
            try:
                result = plain(self._found()(self._loads(item)))
                results.append(pickle.dumps(result, pickle.HIGHEST_PROTOCOL))
            except Exception as error:  # noqa: BLE001  the parent raises it
                yield pickle.dumps((results, failed(error), clock() - began))
                return
            now = clock()
            if now - sent > FLUSH:
                yield pickle.dumps((results, None, None))
                results, sent = [], now
        yield pickle.dumps((results, None, clock() - began))

    def _found(self) -> Callable[[Any], Any]:
        function = self._function
        if function is None:
            function = self._function = self._loads(self._pickled)
        return cast("Callable[[Any], Any]", function)

    def _loads(self, data: bytes) -> Any:
        if self._find_main and b"__main__" in data:
            self._find_main = False
            prepare(self._main)
        return pickle.loads(data)  # noqa: S301  from the parent


def plain(result: Any) -> Any:
    """Return a result of the function, or raise ``TypeError`` if it should have been awaited."""
    if iscoroutine(result):
        result.close()
        raise TypeError(NOT_AWAITED)
    return result


def failed(error: Exception) -> Failed:
    """Return the form in which an exception is sent to the parent."""
    if isinstance(error, StopIteration):  # raised in the parent, it would look like an end
        error = RuntimeError("map_process: the function raised StopIteration")
    text = "".join(traceback.format_exception(error))
    try:
        data = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)  # noqa: S301  our own: many exceptions can be pickled, but not unpickled
    except Exception:  # noqa: BLE001  an exception's own methods may raise anything
        data = None
    return data, f"{type(error).__name__}: {error}", text


def prepare(where: tuple[str, str] | None) -> None:
    """Run the main program as ``__mp_main__``, like ``multiprocessing``, and make it ``__main__``, too."""
    if where is None:
        return
    kind, name = where
    os.environ[PREPARING] = name
    try:
        module = ModuleType("__mp_main__")
        if kind == "module":
            module.__dict__.update(runpy.run_module(name, run_name="__mp_main__", alter_sys=True))
        else:
            module.__dict__.update(runpy.run_path(name, run_name="__mp_main__"))
    finally:
        del os.environ[PREPARING]
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def main(clock: Callable[[], float]) -> None:
    """Answer the frames of standard input on standard output, until the input ends."""
    try:
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that a print does not break the frames
            for answer in _answers(clock):
                answers.write(len(answer).to_bytes(_LENGTH, "big") + answer)
                answers.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(0)


def _answers(clock: Callable[[], float]) -> Iterator[bytes]:
    server: Server | None = None
    while (question := _read(sys.stdin.buffer)) is not None:
        if server is None:
            server = Server(question, clock, find_main=True)
        else:
            yield from server.answer(question)


def _read(stream: BinaryIO) -> bytes | None:
    """Return the next frame, or ``None`` if the input has ended."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return body if len(body) == size else None
