"""The parts of a pipeline that a file names, and the pipeline made of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from penstock.documents.expression import Expression
from penstock.errors import PenstockError
from penstock.pipeline_file.places import ledger_beside, output_from, place_from
from penstock.pipeline_file.steps import retried_kinds, step_of
from penstock.runtime.arguments import at
from penstock.runtime.policy import RetryPolicy
from penstock.sinks import sink_from

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic import BaseModel

    from penstock.abc import Sink
    from penstock.adapters import AdapterEntry
    from penstock.documents.settings import Step
    from penstock.ingest.plan import Hook
    from penstock.pipeline import IngestionPipeline
    from penstock.pipeline_file.model import PipelineModel, RetryTable
    from penstock.pipeline_file.places import Output, Place

    Report = Callable[[tuple[str | int, ...], str], None]


class Built(NamedTuple):
    """A pipeline and where its documents go: ``await pipeline.run(sink)``."""

    pipeline: IngestionPipeline
    sink: Sink


@dataclass(frozen=True)
class Parts:
    """What a file names: functions that were imported, and places as seen from the working directory."""

    entry: AdapterEntry[Any]
    inputs: tuple[str, ...]
    outputs: tuple[Output, ...]
    ledger: Place | None
    where: Callable[..., Any] | str | None
    process: tuple[Step, ...]
    retry: RetryPolicy

    @classmethod
    def of(
        cls, model: PipelineModel, entry: AdapterEntry[Any], settings: BaseModel, folder: Path, report: Report
    ) -> Parts | None:
        """Resolve what ``model`` names. Mistakes are reported, and then the result may be ``None``."""
        where, process = cls.steps_of(model, folder, report)
        retry = _retry(model.retry, folder, report)
        inputs = _inputs(model.source.inputs, entry, folder, report)
        outputs = _outputs(model.to, folder, report)
        schema = _schema(entry, inputs, settings, report) if inputs is not None else None
        if isinstance(where, str) and inputs is not None:
            _try(report, ("where",), lambda: Expression(where, schema))
        if inputs is None or outputs is None:
            return None
        _try_sinks(model, outputs, schema, report)
        ledger = _try(report, ("ledger",), lambda: _ledger(model, outputs, folder))
        return cls(entry, inputs, outputs, ledger, where, process, retry)

    @staticmethod
    def steps_of(
        model: PipelineModel, folder: Path, report: Report
    ) -> tuple[Callable[..., Any] | str | None, tuple[Step, ...]]:
        """Import the functions of ``where`` and ``process``."""
        chosen = model.where
        where = (
            chosen if chosen is None or isinstance(chosen, str) else _step(report, ("where",), chosen, folder)
        )
        steps = [_step(report, ("process", n), table, folder) for n, table in enumerate(model.process)]
        return where, tuple(step for step in steps if step is not None)

    def pipeline(
        self,
        model: PipelineModel,
        settings: BaseModel,
        *,
        hooks: Sequence[Hook],
        restart: bool,
        refresh: bool,
    ) -> IngestionPipeline:
        """Return the pipeline."""
        from penstock.pipeline import IngestionPipeline

        return IngestionPipeline(
            self.entry.build(self.inputs, settings),
            ledger=self.ledger,
            key=model.key,
            process=self.process,
            concurrency=model.concurrency,
            where=self.where,
            retry=self.retry,
            progress_every=model.progress_every,
            checkpoint_every=model.checkpoint_every,
            skip_completed=model.skip_completed,
            fail_fast=model.fail_fast,
            limit=model.limit or None,
            grace=model.grace,
            restart=restart,
            refresh=refresh,
            hooks=hooks,
        )

    def sink(self, model: PipelineModel) -> Sink:
        """Return the sink for all outputs."""
        return sink_from(list(self.outputs), columns=model.columns, include_raw=model.raw)


def _try(report: Report, path: tuple[str | int, ...], make: Callable[[], Any]) -> Any:
    """Return what ``make`` returns; report what it raises."""
    try:
        return make()
    except (PenstockError, TypeError, ValueError) as error:
        here = at()  # the line that calls load(): the line of the file says more
        report(path, str(error).replace(here, "") if here else str(error))
        return None


def _step(report: Report, path: tuple[str | int, ...], table: Any, folder: Path) -> Any:
    return _try(report, path, lambda: step_of(table, folder))


def _retry(table: RetryTable, folder: Path, report: Report) -> RetryPolicy:
    """Return the policy of a table. One whose ``retry_on`` is wrong has the kinds of the default."""
    options = table.model_dump(exclude={"retry_on"})
    if table.retry_on is not None:
        path = ("retry", "retry_on")
        names = table.retry_on
        made = _try(report, path, lambda: RetryPolicy(**options, retry_on=retried_kinds(names, folder)))
        if made is not None:
            return cast("RetryPolicy", made)
    return RetryPolicy(**options)


def _inputs(
    words: Sequence[str], entry: AdapterEntry[Any], folder: Path, report: Report
) -> tuple[str, ...] | None:
    path = ("source", "inputs")
    if entry.inputs is None and words:
        report(path, f"{entry.name} reads no inputs: leave source.inputs out")
        return None
    if entry.inputs is not None and not words:
        report(path, "source.inputs is missing or empty: name the files to read")
        return None
    return tuple(_input(word, folder) if entry.inputs_are_paths else word for word in words)


def _input(word: str, folder: Path) -> str:
    if word == "-" or "://" in word or word.startswith("~") or folder == Path():
        return word
    return str(Path(escape(str(folder))) / word)


def _outputs(words: Sequence[str], folder: Path, report: Report) -> tuple[Output, ...] | None:
    found = [_try(report, ("to", n), partial(output_from, word, folder)) for n, word in enumerate(words)]
    return tuple(found) if None not in found else None


def _ledger(model: PipelineModel, outputs: Sequence[Output], folder: Path) -> Place | None:
    if model.ledger is False:
        return None
    if model.ledger:
        return place_from(model.ledger, folder)
    beside = ledger_beside(outputs)
    is_server = beside is not None and isinstance(outputs[0], str) and beside.parent == Path()
    return folder / beside if beside is not None and is_server else beside


def _schema(
    entry: AdapterEntry[Any], inputs: Sequence[str], settings: BaseModel, report: Report
) -> type | None:
    adapter = _try(report, ("source",), lambda: entry.build(inputs, settings))
    return None if adapter is None else adapter.source.schema


def _try_sinks(model: PipelineModel, outputs: Sequence[Output], schema: type | None, report: Report) -> None:
    """Report an output that no sink can write, or a library that it needs and that is not installed."""
    for number, output in enumerate(outputs):
        made = _try(report, ("to", number), partial(sink_from, output, include_raw=model.raw))
        if made is not None and model.columns is not None:
            chosen = _try(report, ("columns",), partial(sink_from, output, columns=model.columns))
            if chosen is not None:
                _try(report, ("columns",), partial(chosen.use_schema, schema))
