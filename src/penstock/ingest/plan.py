"""What all runs of a pipeline have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from penstock.events import PipelineEvent
from penstock.redact import redact, redact_json
from penstock.runtime.arguments import function_for, name_of, refuse

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.document import Document
    from penstock.documents.settings import Settings
    from penstock.runtime.node import Node

Hook = Callable[[Sequence[PipelineEvent]], None]
"""Called with every list of events, in order, before it is acknowledged. An exception ends the run.

If a hook has an async method ``settle()``, it is awaited when the run has closed. It must not raise.
"""


def functions_for(parameter: str, functions: object) -> tuple[Callable[..., Any], ...]:
    """Return the functions of a parameter; raise ``GraphError`` if it is no list of functions."""
    if not isinstance(functions, Iterable) or isinstance(functions, str | bytes):
        advice = f"Right: {parameter}=[{name_of(functions)}]." if callable(functions) else ""
        refuse("IngestionPipeline", "a list of functions", functions, parameter, advice)
    found = tuple(functions)
    for function in found:
        function_for("IngestionPipeline", function, parameter, asynchronous=parameter == "process")
    return found


class SourceOfEvents(Protocol):
    """What an ingestion needs of an adapter."""

    @property
    def source(self) -> Source:
        """Where documents come from."""
        ...

    def events(
        self,
        settings: Settings,
        *,
        fetch: Callable[..., Any] | None = None,
        encode: Callable[[Document], bytes] | None = None,
        **changes: Any,
    ) -> Node:
        """Return the event stage with these settings, reading through ``fetch`` if given.

        Where other processes parse, they ``encode`` documents for the sink.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments of an ``IngestionPipeline``; each is described there."""

    adapter: SourceOfEvents
    settings: Settings
    key: str
    checkpoint_every: int
    skip_completed: bool
    grace: float | None
    restart: bool
    refresh: bool
    hooks: tuple[Hook, ...]
    began: str = ""
    """Where the pipeline was made: ``file:line``."""

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield what happens to each document, as names and words."""
        source, settings = self.adapter.source, self.settings
        yield "source", f"{source.name} {redact_json(source.parameters)}"
        yield from _inputs_of(source)
        for one in settings.where:
            yield "where", _shown(one)
        if settings.process:
            names = ", ".join(_shown(step) for step in settings.process)
            yield "process", f"{names} (concurrency {settings.concurrency})"
        if settings.retry:
            yield "retry", f"{settings.retry.limits} a document, and the source"
        yield "commit", f"every {settings.checkpoint_every} documents and at the end"


def _shown(function: Callable[..., Any]) -> str:
    """Return the name of a function; arguments that are bound to it may be secrets, and are left out."""
    is_named = isinstance(function, partial) or hasattr(function, "__name__")
    return name_of(function) if is_named else repr(function)


_SHOWN = 10


def _inputs_of(source: Source) -> Iterator[tuple[str, str]]:
    """Yield the inputs in the order in which they are read; of many, the first and the last."""
    inputs = source.inputs()
    left_out = len(inputs) - _SHOWN
    for number, name in enumerate(inputs, 1):
        if left_out <= 0 or not _SHOWN - 2 < number <= len(inputs) - 2:
            yield "inputs" if number == 1 else "", f"{number}. {redact(name)}"
        elif number == _SHOWN - 1:
            yield "", f"... {left_out:,} more"
