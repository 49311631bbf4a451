"""``load``: reads a pipeline file, and reports all of its mistakes at once."""

from __future__ import annotations

import os
import tomllib
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from penstock.errors import AdapterError
from penstock.pipeline_file.built import Built, Parts
from penstock.pipeline_file.environment import expanded
from penstock.pipeline_file.lines import line_of, lines_of
from penstock.pipeline_file.mistakes import Mistake, PipelineFileError, dotted
from penstock.pipeline_file.model import PipelineModel
from penstock.pipeline_file.sentences import mistakes_of
from penstock.redact import concealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.abc import Sink
    from penstock.adapters import AdapterEntry
    from penstock.ingest.plan import Hook
    from penstock.pipeline_file.places import Output, Place

    KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline file that was read and checked. `build` may be called any number of times."""

    path: Path
    model: PipelineModel
    """What the file says, with the values of variables, overrides, and defaults."""
    adapter: AdapterEntry[Any]
    settings: BaseModel
    """The settings of the adapter."""
    _parts: Parts = field(repr=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs, as seen from the working directory."""
        return self._parts.inputs

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs, as seen from the working directory."""
        return self._parts.outputs

    @property
    def ledger(self) -> Place | None:
        """Where the state is; ``None`` keeps none."""
        return self._parts.ledger

    def build(
        self,
        *,
        hooks: Sequence[Hook] = (),
        limit: int | None = None,
        restart: bool = False,
        refresh: bool = False,
    ) -> Built:
        """Return a new pipeline and its sink: ``pipeline, sink = file.build()``. Nothing is opened.

        Args:
            hooks: Called with every list of events.
            limit: Process at most this many documents; by default the limit of the file.
            restart: Empty the ledger and the outputs first.
            refresh: Read all inputs again, to take documents that have changed.

        Raises:
            GraphError: the arguments contradict each other, or the file.
        """
        model = self.model if limit is None else self.model.model_copy(update={"limit": limit})
        parts = self._parts
        pipeline = parts.pipeline(model, self.settings, hooks=hooks, restart=restart, refresh=refresh)
        return Built(pipeline, self.sink())

    def sink(self) -> Sink:
        """Return a new sink for all outputs. Nothing is opened."""
        return self._parts.sink(self.model)


def load(
    path: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> PipelineFile:
    """Read a pipeline file, import its steps, and check everything that can be checked without opening it.

    Paths in the file are relative to the file. Steps are code, so load only files that you trust.

    Args:
        path: A TOML file.
        overrides: ``key=value``: a dotted key of the file and a TOML value, which replaces what the file
            says. A value that is no TOML is a text.
        environment: The values of ``${NAME}``; by default ``os.environ``.

    Raises:
        PipelineFileError: the file has mistakes; all of them are reported, with their lines.
        OSError: the file cannot be read.
    """
    return _Loading(Path(path), os.environ if environment is None else environment).file(overrides)


class _Loading:
    """One call of ``load``, with the mistakes that it has found."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self._environment = environment
        self._mistakes: dict[KeyPath, Mistake] = {}
        self._overridden: list[KeyPath] = []

    def file(self, overrides: Sequence[str]) -> PipelineFile:
        document = self._document()
        for text in overrides:
            self._override(document, text)
        values = expanded(document, self._environment, self.report)
        model = self._validated(PipelineModel, values, (), document)
        entry = self._adapter(values)
        settings = None
        if entry is not None:
            written = _inside(values, ("source", "settings")) or {}
            settings = self._validated(
                entry.settings,
                written,
                ("source", "settings"),
                _inside(document, ("source", "settings")) or {},
            )
            settings = None if settings is None else _with_paths(settings, self.path.parent)
        parts = None
        if model is not None and entry is not None and settings is not None:
            parts = Parts.of(model, entry, settings, self.path.parent, self.report)
        if self._mistakes or model is None or entry is None or settings is None or parts is None:
            raise self._error()
        return PipelineFile(self.path, model, entry, settings, parts)

    def report(self, path: KeyPath, message: str) -> None:
        """Note a mistake at a key; the first one of a key counts."""
        self._mistakes.setdefault(path, Mistake(self._place(path), dotted(path), concealed(message)))

    def _place(self, path: KeyPath) -> str:
        if any(path[: len(one)] == one for one in self._overridden):
            return "--set"
        line = line_of(self._lines, path)
        return str(self.path) if line is None else f"{self.path}:{line}"

    def _error(self) -> PipelineFileError:
        def order(item: tuple[KeyPath, Mistake]) -> tuple[int, str]:
            return (line_of(self._lines, item[0]) or 0, item[1].key)

        return PipelineFileError(*(mistake for _, mistake in sorted(self._mistakes.items(), key=order)))

    @cached_property
    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise PipelineFileError(Mistake(f"{self.path}:{line}", "", "the file is not in UTF-8")) from error

    @cached_property
    def _lines(self) -> Mapping[KeyPath, int]:
        return lines_of(self._text)

    def _document(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            what, _, where = str(error).partition(" (at ")
            line = where.partition("line ")[2].partition(",")[0]
            place = f"{self.path}:{line}" if line.isdigit() else str(self.path)
            if where.startswith("end"):
                place = f"{self.path}:{len(self._text.splitlines()) or 1}"
            raise PipelineFileError(Mistake(place, "", f"this is not TOML: {what.lower()}")) from error

    def _override(self, document: dict[str, Any], text: str) -> None:
        name, equals, value = text.partition("=")
        path = _key_path(name)
        if path is None or not equals:
            raise PipelineFileError(
                Mistake("--set", "", f"{text!r} must be a key and a value, as in --set limit=100")
            )
        table: Any = document
        for part in path[:-1]:
            table = table.setdefault(part, {}) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise PipelineFileError(Mistake("--set", name, f"{name}: {dotted(path[:-1])} is no table"))
        table[path[-1]] = _value(value)
        self._overridden.append(path)

    def _validated(self, model: type[Any], values: Any, at: KeyPath, document: Any) -> Any:
        """Return the model of ``values``.

        Mistakes are reported, and left out of the result, so that the others can be found too. ``None`` means
        that nothing is left.
        """
        left = deepcopy(values)
        for _ in range(2):
            try:
                return model.model_validate(left)
            except ValidationError as error:
                for path, message in mistakes_of(error, document, model, at):
                    self.report((*at, *path), message)
                    _remove(left, path)
        return None

    def _adapter(self, values: Any) -> AdapterEntry[Any] | None:
        from penstock.adapters import find_adapter

        name = _inside(values, ("source", "adapter"))
        if not isinstance(name, str) or not name:
            return None
        try:
            return find_adapter(name)
        except AdapterError as error:
            self.report(("source", "adapter"), str(error))
            return None


def _inside(values: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _with_paths(settings: BaseModel, folder: Path) -> BaseModel:
    """Return settings whose relative paths begin at the folder of the file."""
    paths = {name: folder / value for name, value in settings if isinstance(value, Path)}
    return settings.model_copy(update=paths) if paths and folder != Path() else settings


def _remove(values: Any, path: KeyPath) -> None:
    """Remove the value at a path, if it is there; an item of a list takes the list with it."""
    *parents, last = path or ("",)
    while parents and isinstance(last, int):
        last = parents.pop()
    for part in parents:
        values = values[part] if isinstance(values, dict) and part in values else None
    if isinstance(values, dict):
        values.pop(last, None)


def _key_path(name: str) -> tuple[str, ...] | None:
    """Return the parts of a dotted key as TOML reads it."""
    try:
        table: Any = tomllib.loads(f"{name} = 0")
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((part, table),) = table.items()
        path.append(part)
    return tuple(path) if table == 0 else None


def _value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 else text
