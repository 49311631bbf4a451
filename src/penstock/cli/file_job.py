"""The job of a pipeline file: the commands that its messages advise are ``penstock run FILE``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.cli.job import Job, program
from penstock.cli.options import RunOptions
from penstock.cli.text import shell_command
from penstock.redact import concealed, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Sink
    from penstock.cli.run import FileOptions
    from penstock.pipeline import Hook, IngestionPipeline
    from penstock.pipeline_file import Built, PipelineFile


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob(Job):
    """One ``penstock run FILE``."""

    file: PipelineFile
    sets: tuple[str, ...]
    """The overrides, ``key=value``."""

    @classmethod
    def of(cls, file: PipelineFile, sets: tuple[str, ...], given: FileOptions) -> FileJob:
        """Return the job of a file that was loaded with the overrides ``sets``."""
        model = file.model
        options = RunOptions(
            key=model.key,
            raw=model.raw,
            limit=given.limit or model.limit or None,
            grace=model.grace,
            restart=given.restart,
            refresh=given.refresh,
            fail_fast=model.fail_fast,
            progress=given.progress,
            quiet=given.quiet,
            events=given.events,
            debug=given.debug,
        )
        to, *also = file.outputs
        return cls(
            adapter=file.adapter, files=file.inputs, settings=file.settings, options=options, to=to,
            ledger=file.ledger, also=tuple(also), file=file, sets=sets,
        )  # fmt: skip

    def built(self, hooks: Sequence[Hook] = ()) -> Built:
        """Return the pipeline and its sink."""
        options = self.options
        return self.file.build(
            hooks=hooks, limit=options.limit, restart=options.restart, refresh=options.refresh
        )

    def pipeline(self, hooks: Sequence[Hook]) -> IngestionPipeline:
        """Build the pipeline."""
        return self.built(hooks).pipeline

    def sink(self) -> Sink:
        """Return the sink for all outputs."""
        return self.file.sink()

    def warning(self) -> None:
        """Return nothing: no shell has sorted the inputs of a file."""

    def command(
        self,
        *,
        restart: bool = False,
        limited: bool = True,
        refresh: bool | None = None,
        fail_fast: bool = True,
        added: str = "",  # noqa: ARG002  this command is never too long
    ) -> str:
        """Return the command that repeats this job; see ``Job.command``."""
        options, model = self.options, self.file.model
        words = ["run", str(self.file.path)]
        sets = [redact(one) for one in self.sets]
        if not limited and model.limit:
            sets.append("limit=false")
        if model.fail_fast and not fail_fast:
            sets.append("fail_fast=false")
        sets += self._changed_settings()
        words += [word for one in sets for word in ("--set", one)]
        if options.limit is not None and options.limit != (model.limit or None) and limited:
            words += ["--limit", str(options.limit)]
        words += [*self._flags(), *self._again(restart=restart, refresh=refresh)]
        return shell_command([*program(), *words])

    def status_command(self) -> str:
        """Return the command that shows the state of this job and what failed."""
        return concealed(Job.status_command(self)) if self.sets else self._about("status")

    def list_command(self) -> str:
        """Return the command that lists the dead letters of this job."""
        key = ["--key", self.options.key] if self.options.key else []
        return concealed(Job.list_command(self)) if self.sets else self._about("dead", "list", more=key)

    def replay_command(self) -> str:
        """Return the command that replays the dead letters of this job, with the steps of the file."""
        sets = [word for one in self.sets for word in ("--set", redact(one))]
        return self._about("dead", "replay", more=sets)

    def _about(self, *words: str, more: Sequence[str] = ()) -> str:
        return shell_command([*program(), *words, str(self.file.path), *more])

    def _changed_settings(self) -> list[str]:
        """Return overrides for settings that this job has and the file has not."""
        ours: dict[str, Any] = self.settings.model_dump(mode="json")
        theirs = self.file.settings.model_dump(mode="json")
        changed = [name for name in ours if ours[name] != theirs[name]]
        return [f"source.settings.{name}={json.dumps(ours[name])}" for name in changed]
