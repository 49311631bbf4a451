"""The sink for the outputs of a command line, with the columns that were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import Sink
    from penstock.cli.options import Selection
    from penstock.pipeline_file.places import Output


def sink_of(outputs: Sequence[Output], options: Selection) -> Sink:
    """Return the sink for all outputs, with the columns that were chosen."""
    from penstock.sinks import sink_from

    names = options.columns
    columns = None if names is None else names_in(names)
    if columns is not None and (not columns or len(set(columns)) < len(columns)):
        raise GraphError(f"--columns {names!r}: name columns, each once, joined by commas: doc_id,title")
    return sink_from(list(outputs), columns=columns, include_raw=options.raw)


def names_in(text: str) -> list[str]:
    """Return the names in a list that is joined by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
