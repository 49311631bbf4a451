"""Pipelines by their import path: ``package.module:pipeline``, or a function that returns one."""

from __future__ import annotations

import os
import re
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.abc import Sink
from penstock.errors import GraphError, PenstockError
from penstock.pipeline import IngestionPipeline
from penstock.pipeline_file.model import IMPORT_PATH
from penstock.pipeline_file.steps import imported
from penstock.runtime.arguments import is_async

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.ingest.plan import Hook, Plan
    from penstock.ledger.choice import Place

_KINDS = "an IngestionPipeline, a pair (pipeline, sink), or a function without arguments that returns one"
_PAIR = 2


def is_import_path(word: str) -> bool:
    """Whether ``word`` is written as ``package.module:name`` and names no file."""
    return re.match(IMPORT_PATH, word) is not None and not Path(word).exists()


@dataclass(frozen=True, slots=True)
class PipelineObject:
    """A pipeline that was imported, and where its documents go, if it came with that."""

    name: str
    pipeline: IngestionPipeline
    target: Sink | tuple[str, ...]
    """A sink, or the paths and URLs of outputs; none if the pipeline came alone."""

    @property
    def plan(self) -> Plan:
        """The arguments of the pipeline."""
        return self.pipeline._plan  # noqa: SLF001  a copy of the pipeline needs all of them

    @property
    def ledger(self) -> Any:
        """Its ledger: a place, a ``Ledger``, or ``None``."""
        return self.pipeline._ledger  # noqa: SLF001  as above

    def changed(
        self,
        *,
        ledger: Place | None = None,
        hooks: Sequence[Hook] = (),
        limit: int | None = None,
        restart: bool = False,
        refresh: bool = False,
    ) -> IngestionPipeline:
        """Return a copy of the pipeline with more hooks and other options. The original stays as it is."""
        plan, pipeline = self.plan, copy(self.pipeline)
        pipeline._plan = replace(  # noqa: SLF001  it is a copy
            plan,
            settings=plan.settings if limit is None else replace(plan.settings, limit=limit),
            hooks=(*plan.hooks, *hooks),
            restart=plan.restart or restart,
            refresh=plan.refresh or refresh,
        )
        if self.ledger is None:
            pipeline._ledger = ledger  # noqa: SLF001  it is a copy
        return pipeline


def pipeline_object(name: str) -> PipelineObject:
    """Import ``package.module:name`` and return its pipeline.

    Modules of the working directory are found first, as with ``python -m``. A function is called without
    arguments.

    Raises:
        GraphError: it cannot be imported, raises, or is no pipeline.
    """
    found = whole = imported(name, Path(), first=True)
    if callable(found):
        found = _called(name, found)
    pipeline, target = found if isinstance(found, tuple) and len(found) == _PAIR else (found, ())
    outputs = _outputs(target)
    if not isinstance(pipeline, IngestionPipeline) or outputs is None:
        kinds = ", ".join(type(one).__name__ for one in found) if isinstance(found, tuple) else ""
        verb = "is" if whole is found else "returns"
        raise GraphError(f"{name} {verb} {f'({kinds})' if kinds else _named(found)}; it must be {_KINDS}")
    return PipelineObject(name, pipeline, outputs)


def _outputs(target: Any) -> Sink | tuple[str, ...] | None:
    """Return where documents go; ``None`` if ``target`` does not say it."""
    if isinstance(target, Sink):
        return target
    if isinstance(target, str | os.PathLike):
        return (os.fspath(target),)
    if isinstance(target, list | tuple) and all(isinstance(one, str | os.PathLike) for one in target):
        return tuple(map(os.fspath, target))
    return None


def _named(found: object) -> str:
    return "None" if found is None else f"of the type {type(found).__name__}"


def _called(name: str, function: Any) -> Any:
    if is_async(function):
        raise GraphError(f"{name} is an async function: write a plain one that returns the pipeline")
    try:
        return function()
    except PenstockError:
        raise
    except Exception as error:
        advice = "; it must work without arguments" if isinstance(error, TypeError) else ""
        raise GraphError(f"{name}() raised {type(error).__name__}: {error}{advice}") from error
