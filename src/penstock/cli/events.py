"""``penstock events``: shows the events of a recorded run, or follows one while it is recorded."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from penstock.cli.commands import STDIN
from penstock.cli.exits import ALL_COMPLETED, INTERRUPTED
from penstock.cli.options import Debug, Flag, Json
from penstock.cli.status import local_time
from penstock.cli.text import count, duration, plural, shorten
from penstock.errors import PenstockError, WireError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
    decode,
)
from penstock.system.terminal import for_terminal
from penstock.telemetry.recording import files_of

if TYPE_CHECKING:
    from typing import BinaryIO

Type = Literal[
    "DocumentStarted", "DocumentCompleted", "DocumentFailed", "BatchProgress", "AdapterStateChange"
]
_PAUSE: Final = 0.2
"""Seconds between two looks at a file that is followed."""
_LINE = 160


def show_events(
    file: str,
    /,
    *,
    follow: Flag = False,
    types: Annotated[list[Type] | None, Parameter(name="--type", negative="")] = None,
    as_json: Json = False,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Print the events of a recording, a line each, and return the exit code.

    Args:
        file: A recording: what a Recorder or --events wrote. A dash is standard input.
        follow: Wait for more events, until Ctrl-C.
        types: Show only events of this type. Repeat it for more types.

    Raises:
        FileNotFoundError: there is no such recording.
        PenstockError: a line is no event.
    """
    chosen = frozenset(types or ())
    lines = sys.stdin.buffer if file == STDIN else recorded(Path(file), follow=follow)
    escape = sys.stdout.isatty()
    try:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                continue  # the last one, which a crash tore
            event = _decoded(line, file, number)
            if chosen and type(event).__name__ not in chosen:
                continue
            if as_json:
                data = for_terminal(line) if escape else line
                sys.stdout.write(data.decode("utf-8"))
            else:
                sys.stdout.write(f"{in_words(event)}\n")
            if follow or file == STDIN:
                sys.stdout.flush()
    except KeyboardInterrupt:  # the usual end of --follow
        return INTERRUPTED
    return ALL_COMPLETED


def _decoded(line: bytes, file: str, number: int) -> PipelineEvent:
    try:
        return decode(line)
    except WireError as error:
        place = "standard input" if file == STDIN else file
        raise PenstockError(f"{place}, line {number}, is no event of a recording: {error}") from error


def recorded(path: Path, *, follow: bool, wait: Callable[[float], object] = time.sleep) -> Iterator[bytes]:
    """Yield the whole lines of a recording: those of rotated files first.

    A last line without its end may be one that a crash tore, or one that is being written. It is left out, or
    waited for.

    Args:
        path: The file that is written to.
        follow: At the end, wait for more, also in the file that follows after a rotation.
        wait: Waits for some seconds.
    """
    files = files_of(path)
    while files:
        with files[0].open("rb") as file:
            yield from _lines(file, path, wait) if follow else (one for one in file if one.endswith(b"\n"))
            files = _newer(file, path) if follow else files[1:]


def _lines(file: BinaryIO, path: Path, wait: Callable[[float], object]) -> Iterator[bytes]:
    """Yield the whole lines of a file until it has ended: a newer file is there, and nothing came since."""
    begun = b""
    ended = False
    while True:
        if line := file.readline():
            begun += line
            if begun.endswith(b"\n"):
                yield begun
                begun = b""
            continue
        if ended:
            return
        if not (ended := bool(_newer(file, path))):  # look once more: its last lines may have come meanwhile
            wait(_PAUSE)


def _newer(file: BinaryIO, path: Path) -> list[Path]:
    """Return the files that are newer than ``file``, which may have been renamed, oldest first."""
    this = os.fstat(file.fileno())
    files = files_of(path)
    for place, one in enumerate(files):
        try:
            is_this = os.path.samestat(one.stat(), this)
        except FileNotFoundError:  # it is renamed at this moment
            return []
        if is_this:
            return files[place + 1 :]
    return files  # it was removed: all others are newer


def in_words(event: PipelineEvent) -> str:
    """Return an event as a line for people: its time, what happened, to which document."""
    kind, what = _told(event)
    return f"{local_time(event.timestamp)}  {kind:<9}  {shorten(what, _LINE)}"


def _told(event: PipelineEvent) -> tuple[str, str]:
    if isinstance(event, DocumentStarted):
        return "started", event.doc_id
    if isinstance(event, DocumentCompleted):
        tried = f", after {plural(event.retry_count, 'failed attempt')}" if event.retry_count else ""
        return "completed", f"{event.doc_id} in {_took(event.duration)}{tried}"
    if isinstance(event, DocumentFailed):
        who = event.doc_id or "a record without an id"
        return "retrying" if event.will_retry else "failed", f"{who}: {event.error_type}: {event.error}"
    if isinstance(event, BatchProgress):
        parts = [f"{count(getattr(event, name))} {name}" for name in ("completed", "failed", "skipped")]
        if event.rate:
            parts.append(f"{count(event.rate)} docs/s")
        if event.is_checkpoint:
            parts.append("checkpoint")
        return "progress", ", ".join(parts)
    if isinstance(event, AdapterStateChange):
        reason = f": {event.reason}" if event.reason else ""
        return "state", f"{event.adapter} is {event.new_state}{reason}"
    return "other", type(event).__name__


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else duration(seconds)
