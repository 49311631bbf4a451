"""The job of a pipeline in Python: the commands that its messages advise are ``penstock run MODULE:NAME``."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from penstock.adapters import AdapterEntry
from penstock.cli.job import Job, UsageProblem, program
from penstock.cli.options import RunOptions
from penstock.cli.text import shell_command
from penstock.pipeline_file.places import STDOUT, ledger_beside, output_of, place_of, shown, shown_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Sink, Source
    from penstock.cli.run import FileOptions
    from penstock.pipeline import Hook, IngestionPipeline
    from penstock.pipeline_file.objects import PipelineObject
    from penstock.pipeline_file.places import Output, Place


class _None(BaseModel):
    """The settings of a source that was configured in Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectJob(Job):
    """One ``penstock run MODULE:OBJECT``."""

    found: PipelineObject
    to_given: tuple[str, ...]
    """The outputs of the command line; with them those of the object do not count."""

    @classmethod
    def of(cls, found: PipelineObject, to: Sequence[str], given: FileOptions) -> ObjectJob:
        """Return the job of a pipeline.

        Raises:
            UsageProblem: it has no output.
        """
        target = found.target
        words = tuple(to) or (target if isinstance(target, tuple) else ())
        if not words and isinstance(target, tuple):
            raise UsageProblem(
                f"{found.name} says not where documents go: add --to OUT.jsonl, or let it be (pipeline, sink)"
            )
        outputs = [output_of(word) for word in words]
        plan = found.plan
        options = RunOptions(
            key=plan.key,
            limit=given.limit or plan.settings.limit,
            grace=math.inf if plan.grace is None else plan.grace,
            restart=given.restart,
            refresh=given.refresh,
            fail_fast=plan.settings.fail_fast,
            progress=given.progress,
            quiet=given.quiet,
            events=given.events,
            debug=given.debug,
        )
        name = plan.adapter.source.name
        entry = AdapterEntry(
            name=name, description="", inputs=None, settings=_None, build=_cannot_build, replay=_cannot_build
        )
        return cls(
            adapter=entry, files=(), settings=_None(), options=options, to=outputs[0] if outputs else STDOUT,
            also=tuple(outputs[1:]), ledger=_ledger(found, outputs), found=found, to_given=tuple(to),
        )  # fmt: skip

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All outputs that have a name; none if the object has a sink of its own."""
        return (self.to, *self.also) if self.to_given or isinstance(self.found.target, tuple) else ()

    @property
    def is_query(self) -> bool:
        """See ``Job.is_query``: what the adapter of an object reads is not known."""
        return False

    def source(self) -> Source:
        """Return the source, for looks at its inputs."""
        return self.found.plan.adapter.source

    def pipeline(self, hooks: Sequence[Hook]) -> IngestionPipeline:
        """Return a copy of the pipeline with these hooks and the options of the command line."""
        options = self.options
        return self.found.changed(
            ledger=self.ledger,
            hooks=hooks,
            limit=options.limit,
            restart=options.restart,
            refresh=options.refresh,
        )

    def sink(self) -> Sink:
        """Return the sink."""
        return Job.sink(self) if self.outputs else cast("Sink", self.found.target)

    def check(self) -> None:
        """Refuse a job that would destroy its state, or has none where it needs one.

        Raises:
            UsageProblem: one file has two roles, or ``--refresh`` has nothing to compare with.
        """
        if self.options.refresh and self.ledger is None:
            raise UsageProblem(f"--refresh needs a ledger, and {self.found.name} has none: give it ledger=")
        Job.check(self)

    def warning(self) -> None:
        """Return nothing: no shell has sorted the inputs of a pipeline."""

    def command(
        self,
        *,
        restart: bool = False,
        limited: bool = True,
        refresh: bool | None = None,
        fail_fast: bool = True,  # noqa: ARG002  the object decides it
        added: str = "",  # noqa: ARG002  this command is never too long
    ) -> str:
        """Return the command that repeats this job; see ``Job.command``."""
        options, settings = self.options, self.found.plan.settings
        words = ["run", self.found.name, *self._to()]
        if options.limit is not None and options.limit != settings.limit and limited:
            words += ["--limit", str(options.limit)]
        words += [*self._flags(), *self._again(restart=restart, refresh=refresh)]
        return shell_command([*program(), *words])

    def status_command(self) -> str:
        """Return the command that shows the state of this job and what failed."""
        return shell_command([*program(), "status", shown_place(self.ledger)])

    def list_command(self) -> str:
        """Return the command that lists the dead letters of this job."""
        words = ["dead", "list", shown_place(self.ledger), "--key", str(self.options.key)]
        return shell_command([*program(), *words])

    def replay_command(self) -> str:
        """Return the command that replays the dead letters of this job, with the steps of the pipeline."""
        return shell_command([*program(), "dead", "replay", self.found.name, *self._to()])

    def _to(self) -> list[str]:
        return [word for output in self.to_given for word in ("--to", shown(output_of(output)))]


def _ledger(found: PipelineObject, outputs: Sequence[Output]) -> Place | None:
    """Return where the state is; without a ledger, beside the first output that has a name."""
    if found.ledger is None:
        return ledger_beside(outputs)
    place = (
        found.ledger if isinstance(found.ledger, str | os.PathLike) else getattr(found.ledger, "place", None)
    )
    return None if place is None else place_of(os.fspath(place))


def _cannot_build(*_: Any) -> Any:
    raise UsageProblem("a pipeline in Python is not built from options")
