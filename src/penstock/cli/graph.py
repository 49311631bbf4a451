"""``penstock graph``: shows the graph of a flow, or what happens to each document of a pipeline."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.options import Debug, Sets
from penstock.cli.text import clean_lines, put
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.flow.picture import Edge, Graph, GraphNode, graph_of
from penstock.pipeline_file import is_import_path, load, pipeline_object
from penstock.pipeline_file.steps import imported
from penstock.redact import redact
from penstock.runtime.arguments import name_of
from penstock.runtime.order import Order
from penstock.sinks import sink_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Sink
    from penstock.pipeline import IngestionPipeline


def show_graph(
    pipeline: str,
    /,
    *,
    format: Literal["text", "mermaid", "svg"] = "text",  # noqa: A002  the name of the option
    sets: Sets = None,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Print the graph of a pipeline or a flow, and return the exit code. Nothing is opened.

    Args:
        pipeline: A pipeline file, or MODULE:OBJECT: a pipeline as for penstock run, or a Flow.
        format: text for people, mermaid for Markdown, svg for a browser: > graph.svg.

    Raises:
        PipelineFileError: the file has mistakes.
        GraphError: MODULE:OBJECT cannot be imported, or has no graph.
    """
    found, sink = _found(pipeline, tuple(sets or ()))
    if format == "text":
        text = found.explain() if isinstance(found, Flow) else found.explain(sink)
    else:
        graph = found.graph() if isinstance(found, Flow) else _graph(found, sink)
        text = graph.to_mermaid() if format == "mermaid" else graph.to_svg()
    put(sys.stdout, *clean_lines(text))
    return ALL_COMPLETED


def _found(name: str, sets: Sequence[str]) -> tuple[IngestionPipeline | Flow[Any], Sink | None]:
    """Return a flow, or a pipeline and its sink, if it has one."""
    if not is_import_path(name):
        return load(name, overrides=sets).build()
    if sets:
        raise GraphError(f"--set changes a pipeline file, and {name} is none: change it in Python")
    found: Any = imported(name, Path(), first=True)
    if isinstance(found, Flow):
        return found, None
    loaded = pipeline_object(name)
    target = loaded.target
    if isinstance(target, tuple):
        return loaded.pipeline, sink_from(list(target)) if target else None
    return loaded.pipeline, target


def _graph(pipeline: IngestionPipeline, sink: Sink | None) -> Graph:
    """Return what happens to each document, one box below the other."""
    plan = pipeline._plan  # noqa: SLF001  its text form shows the same facts
    settings, source = plan.settings, plan.adapter.source
    bound = graph_of(plan.adapter.events(settings)).max_in_flight(1)
    boxes: list[tuple[str, dict[str, str]]] = [(source.name, {"inputs": str(len(source.inputs()))})]
    boxes += [("where", {"document": _name(one)}) for one in settings.where]
    for step in settings.process:
        at_once = {"concurrency": str(settings.concurrency)} if settings.concurrency > 1 else {}
        boxes.append((_name(step), at_once))
    if sink is not None:
        boxes.append(("sink", {"to": redact(sink.describe()), "commit_every": str(plan.checkpoint_every)}))
    nodes = [
        GraphNode(key, name, parameters, "", None, Order.EXACT, True, None, len(boxes) - 1 - key, bound)
        for key, (name, parameters) in enumerate(boxes)
    ]
    return Graph(tuple(nodes), tuple(Edge(key, key + 1) for key in range(len(nodes) - 1)))


def _name(function: Any) -> str:
    """Return the name of a function, or an expression. Arguments may be secrets, and are left out."""
    is_named = isinstance(function, partial) or hasattr(function, "__name__")
    return name_of(function) if is_named else repr(function)
