"""One ingestion as the command line asks for it, and the commands that repeat it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr

from penstock.cli.globs import unquoted_glob
from penstock.cli.outputs import sink_of
from penstock.cli.text import shell_command
from penstock.pipeline_file.places import STDOUT, Output, Place, file_of, ledger_beside, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Sink, Source
    from penstock.adapters import AdapterEntry
    from penstock.cli.options import RunOptions
    from penstock.pipeline import Hook, IngestionPipeline

_LONGEST_COMMAND = 2000


class UsageProblem(Exception):
    """The command cannot run as given; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Job:
    """One ``penstock ingest``: an adapter with its inputs and settings, the outputs, and the options."""

    adapter: AdapterEntry[Any]
    files: tuple[str, ...]
    settings: BaseModel
    options: RunOptions
    to: Output
    ledger: Place | None
    """Where the state is; ``None`` keeps none."""
    also: tuple[Output, ...] = ()
    """More outputs; each gets every document."""
    repeat: tuple[str, ...] | None = None
    """The words that repeat this job if another command than ``ingest`` started it (``penstock demo``)."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All outputs."""
        return (self.to, *self.also)

    def command(
        self,
        *,
        restart: bool = False,
        limited: bool = True,
        refresh: bool | None = None,
        fail_fast: bool = True,
        added: str = "",
    ) -> str:
        """Return the command that repeats this job, quoted for a shell.

        A command of more than 2,000 characters is described in words instead: it is too long to paste.

        Args:
            restart: Add ``--restart``. A restart is never repeated otherwise: it would delete the output
                that the command is meant to continue.
            limited: Keep ``--limit``.
            refresh: Add ``--refresh``. By default it is added if this job has it, so that an interrupted
                refresh continues.
            fail_fast: Keep ``--fail-fast``.
            added: A setting that this job has and the one that was called had not, for the description.
        """
        again = self._again(restart=restart, refresh=refresh)
        words = (
            self._words(again, limited=limited, fail_fast=fail_fast)
            if self.repeat is None
            else [*self.repeat, *again]
        )
        command = shell_command([*program(), *words])
        if len(command) <= _LONGEST_COMMAND:
            return command
        changes = [f"{added} added"] if added else []
        if again and not (again == ["--refresh"] and self.options.refresh):
            changes.append(f"{again[0]} added")
        if self.options.limit is not None and not limited:
            changes.append("without --limit")
        if self.options.fail_fast and not fail_fast:
            changes.append("without --fail-fast")
        change = "".join(f" {change}," for change in changes)
        return f"the same command again,{change} with its {len(self.files):,} files"

    @property
    def refreshable(self) -> bool:
        """Whether the command that repeats this job takes ``--refresh``."""
        return self.repeat is None

    @property
    def is_query(self) -> bool:
        """Whether the adapter reads no inputs, but asks a source: what is new is found by asking again."""
        return self.refreshable and self.adapter.inputs is None

    def warning(self) -> str | None:
        """Return what the user may have overlooked."""
        return unquoted_glob(self.files)

    def source(self) -> Source:
        """Return the source, for looks at its inputs."""
        source: Source = self.adapter.build(self.files, self.settings).source
        return source

    def pipeline(self, hooks: Sequence[Hook]) -> IngestionPipeline:
        """Build the pipeline."""
        from penstock.pipeline import IngestionPipeline  # imported late: --help does not need it

        options = self.options
        return IngestionPipeline(
            self.adapter.build(self.files, self.settings),
            ledger=self.ledger,
            key=options.key or None,
            where=options.where,
            limit=options.limit,
            restart=options.restart,
            refresh=options.refresh,
            fail_fast=options.fail_fast,
            grace=options.grace,
            hooks=hooks,
        )

    def sink(self) -> Sink:
        """Return the sink for all outputs."""
        return sink_of(self.outputs, self.options)

    def status_command(self) -> str:
        """Return the command that shows the state of this job and what failed."""
        return shell_command([*program(), "status", self._place])

    def list_command(self) -> str:
        """Return the command that lists the dead letters of this job."""
        return shell_command([*program(), "dead", "list", self._place, *self._key])

    def replay_command(self) -> str:
        """Return the command that replays the dead letters of this job."""
        more = [word for output in self.also for word in _option("--to", shown(output))]
        words = [*program(), "dead", "replay", shown(self.to), *more, *self._ledger, *self._key]
        return shell_command([*words, *self._selection()])

    @property
    def _place(self) -> str:
        """The output or ledger by which other commands find this job."""
        is_beside = not self._ledger and file_of(self.to) is not None
        return shown(self.to if is_beside or self.ledger is None else self.ledger)

    @property
    def _ledger(self) -> list[str]:
        if self.ledger is None or self.ledger == ledger_beside(self.outputs):
            return []
        return _option("--ledger", shown(self.ledger))

    @property
    def _key(self) -> list[str]:
        return _option("--key", self.options.key) if self.options.key else []

    def _words(self, more: list[str], *, limited: bool, fail_fast: bool) -> list[str]:
        words = ["ingest", self.adapter.name]
        words += [word for output in self.outputs for word in _option("--to", shown(output))]
        settings = self.given_settings().items()
        words += [*self._ledger, *self._key]
        words += [word for name, value in settings for word in _setting(name.replace("_", "-"), value)]
        options, default = self.options, type(self.options)()
        words += self._selection()
        if options.grace != default.grace:
            words += ["--grace", f"{options.grace:g}"]
        if options.limit is not None and limited:
            words += ["--limit", str(options.limit)]
        words += ["--fail-fast"] if options.fail_fast and fail_fast else []
        words += self._flags()
        end_of_options = ["--"] if any(name.startswith("-") and name != "-" for name in self.files) else []
        return [*words, *more, *end_of_options, *self.files]

    def _flags(self) -> list[str]:
        """Return the flags of this job that say what a person sees."""
        options = self.options
        flags = {
            "--events": options.events,
            "--no-progress": not options.progress,
            "--quiet": options.quiet,
            "--debug": options.debug,
        }
        return [flag for flag, given in flags.items() if given]

    def _again(self, *, restart: bool, refresh: bool | None) -> list[str]:
        """Return ``--restart`` or ``--refresh`` if the repeated command has it; see ``command``."""
        if restart:
            return ["--restart"]
        return ["--refresh"] if (self.options.refresh if refresh is None else refresh) else []

    def _selection(self) -> list[str]:
        """Return the options that choose what is written."""
        options = self.options
        words = ["--raw"] if options.raw else []
        for name, value in (("--columns", options.columns), ("--where", options.where)):
            words += _option(name, value) if value is not None else []
        return words

    def given_settings(self) -> dict[str, Any]:
        """Return the settings that are not defaults, as JSON. Secrets are left out."""
        secret = {name for name, value in self.settings if isinstance(value, SecretStr | SecretBytes)}
        return self.settings.model_dump(mode="json", exclude_defaults=True, exclude=secret)

    def check(self) -> None:
        """Refuse a job that would destroy an input, or has nothing to read.

        Raises:
            UsageProblem: the files do not suit the adapter, or one file has two roles.
        """
        name = self.adapter.name
        if not self.files and self.adapter.inputs is not None:
            raise UsageProblem(
                f"no files to read: name them, as in penstock ingest {name} FILES --to {shown(self.to)}"
            )
        if self.files and self.adapter.inputs is None:
            raise UsageProblem(f"{name} reads no files: leave out {', '.join(self.files)}")
        if self.options.restart and self.options.refresh:
            raise UsageProblem("--restart forgets what --refresh compares with: choose one of them")
        if self.ledger is None and (self.options.refresh or self.options.key):
            what = "--refresh" if self.options.refresh else "--key"
            raise UsageProblem(f"{what} needs a ledger, and --to - has none by default: add --ledger FILE")
        if STDOUT in self.outputs and self.options.events:
            raise UsageProblem("--to - and --events both write to stdout: leave one of them out")
        files = [file for output in self.outputs if (file := file_of(output)) is not None]
        roles = [("output", path) for path in files]
        for role, path in (*roles, *([] if self.ledger is None else [("ledger", self.ledger)])):
            if any(_same(path, Path(name)) for name in self.files):
                raise UsageProblem(f"{path} is both the {role} and an input: choose another {role}")
        if any(_same(path, self.ledger) for path in files if self.ledger is not None):
            raise UsageProblem(f"{self.ledger} is both the output and the ledger: choose another --ledger")


def _option(name: str, value: str) -> list[str]:
    is_option = value.startswith("-") and value != STDOUT
    return [f"{name}={value}"] if is_option else [name, value]


def _setting(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, list):
        return [word for item in value for word in _option(f"--{name}", str(item))] or [f"--empty-{name}"]
    return _option(f"--{name}", str(value))


def _same(one: Place, other: Place) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return False
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()


def program() -> list[str]:
    """Return the shortest words that call this program again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", "penstock"]
    found = shutil.which("penstock")
    if found is not None and called.exists() and Path(found).samefile(called):
        return ["penstock"]
    return [os.fspath(called)]
