"""What the command line asked for, and the command line that asks for it again."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from penstock.cli.outputs import LEDGER_SUFFIX, Output, default_ledger, file_of, shown
from penstock.cli.text import shell_command

__all__ = [
    "GRACE",
    "LEDGER_SUFFIX",
    "Job",
    "Place",
    "UsageProblem",
    "default_ledger",
    "place_of",
    "program",
    "shown_place",
]

Place: TypeAlias = "Path | str"
"""Where a ledger is: a file, or the URL of a database."""


LONGEST_COMMAND = 2000
GRACE = 10.0
"""Seconds that one signal leaves to what is in flight."""


class UsageProblem(Exception):
    """The command line cannot be carried out as it stands; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Job:
    """One ``penstock ingest``; the fields are the options of that name."""

    adapter: str
    files: tuple[str, ...]
    to: Output
    ledger: Place
    key: str | None = None
    limit: int | None = None
    progress: bool = True
    events: bool = False
    restart: bool = False
    refresh: bool = False
    fail_fast: bool = False
    processes: int = 1
    max_record_bytes: int | None = None
    max_ratio: int | None = None
    max_unpacked_bytes: int | None = None
    grace: float = GRACE
    debug: bool = False
    also: tuple[Output, ...] = ()
    """Further outputs; each gets every document."""
    asked: tuple[str, ...] | None = None
    """The words that repeat this job where they are not ``ingest``'s (``penstock demo``)."""

    def command(self, *, restart: bool = False, limited: bool = True, refresh: bool | None = None) -> str:
        """Return the command that does this job again, quoted for a shell; all that is printed is made here.

        One of more than 2,000 characters is told in words: nobody pastes it, and it buries everything else.

        ``--restart`` is in it only if it is asked for here: repeated by accident, it would throw away
        what it is meant to continue. ``--refresh`` is, unless asked otherwise, if it was in this one: it goes
        on with the refresh that was interrupted.
        """
        fresh = self.refresh if refresh is None else refresh
        again = ["--restart"] if restart else ["--refresh"] if fresh else []
        asked = [*self.asked, *again] if self.asked is not None else self._words(again, limited=limited)
        command = shell_command([*program(), *asked])
        if len(command) <= LONGEST_COMMAND:
            return command
        extra = f" {again[0]} added," if again and not (again == ["--refresh"] and self.refresh) else ""
        less = " without --limit," if self.limit is not None and not limited else ""
        return f"the same command again,{extra or less} with its {len(self.files):,} files"

    def status_command(self) -> str:
        """Return the command that shows where this job stands and what failed."""
        return shell_command([*program(), "status", self._place])

    def dead_command(self, verb: str) -> str:
        """Return the command that lists, or replays, the dead letters of this job."""
        if verb != "replay":
            return shell_command([*program(), "dead", verb, self._place, *self._which])
        more = [word for output in self.also for word in _option("--to", shown(output))]
        more += [] if self._beside else _option("--ledger", shown(self.ledger))
        return shell_command([*program(), "dead", verb, shown(self.to), *more, *self._which])

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All of them."""
        return (self.to, *self.also)

    @property
    def _place(self) -> str:
        return shown(self.to if self._beside and file_of(self.to) is not None else self.ledger)

    @property
    def _which(self) -> list[str]:
        return [] if self.key is None else _option("--key", self.key)

    @property
    def _beside(self) -> bool:
        return self.ledger == default_ledger(self.to)

    def _words(self, more: list[str], *, limited: bool) -> list[str]:
        words = ["ingest", self.adapter]
        words += [word for output in self.outputs for word in _option("--to", shown(output))]
        if not self._beside:
            words += _option("--ledger", shown(self.ledger))
        words += self._which
        if self.processes != 1:
            words += ["--processes", str(self.processes)]
        for name in ("max_record_bytes", "max_ratio", "max_unpacked_bytes"):
            if (most := getattr(self, name)) is not None:
                words += [f"--{name.replace('_', '-')}", str(most)]
        if self.grace != GRACE:
            words += ["--grace", f"{self.grace:g}"]
        if self.limit is not None and limited:
            words += ["--limit", str(self.limit)]
        words += [word for word, given in self._flags() if given]
        dashed = any(name.startswith("-") for name in self.files)
        return [*words, *more, *(["--"] if dashed else []), *self.files]

    def _flags(self) -> list[tuple[str, bool]]:
        return [
            ("--fail-fast", self.fail_fast),
            ("--events", self.events),
            ("--no-progress", not self.progress),
            ("--debug", self.debug),
        ]

    def check(self) -> None:
        """Refuse what would destroy an input.

        Raises:
            UsageProblem: no files, or the output or ledger is one of the inputs or the other.
        """
        if not self.files:
            raise UsageProblem(
                f"no files to read: name them, as in penstock ingest {self.adapter} FILES "
                f"--to {shown(self.to)}"
            )
        if self.restart and self.refresh:
            raise UsageProblem("--refresh compares with what --restart forgets: choose one of them")
        files = [file for output in self.outputs if (file := file_of(output)) is not None]
        for what, path in (*(("output", path) for path in files), ("ledger", self.ledger)):
            if any(_same(path, Path(name)) for name in self.files):
                raise UsageProblem(f"{path} is both the {what} and an input: choose another {what}")
        if any(_same(path, self.ledger) for path in files):
            raise UsageProblem(f"{self.ledger} is both the output and the ledger: choose another --ledger")


def _option(name: str, value: str) -> list[str]:
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def place_of(word: str) -> Place:
    """Return what a word of the command line names: a URL as it is, anything else as a path."""
    if word.startswith("sqlite:///") and "?" not in word:
        return Path(unquote(word.removeprefix("sqlite:///")))
    return word if "://" in word else Path(word)


def shown_place(place: Place) -> str:
    """Return a path, or a URL without its password."""
    from penstock.ledger.postgres.text import is_postgres, shown

    return shown(str(place)) if is_postgres(place) else str(place)


def _same(one: Place, other: Place) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return False
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


def program() -> list[str]:
    """Return the words by which this program was called, as short as they still find it."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "penstock"]
    found = shutil.which("penstock")
    if found is not None and called.exists() and Path(found).samefile(called):
        return ["penstock"]
    return [os.fspath(called)]
