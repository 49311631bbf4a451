"""The registry of adapters: their names, their settings, and how each one is built.

Penstock's own adapters are built in. Other packages add theirs with an entry point in the group
``penstock.adapters`` that names an `AdapterEntry`. The command line knows adapters only from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from penstock.errors import AdapterError
from penstock.text import repr_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.adapters.event_flow import Adapter

GROUP = "penstock.adapters"
"""The group of entry points that adapters are registered in."""

# Built in, not in pyproject.toml: they also work in a source checkout that was never installed.
BUILT_IN = {
    "clinicaltrials": "clinicaltrials.entry",
    "csv": "csv_files",
    "jsonl": "jsonl",
    "pubmed": "pubmed.entry",
}
"""Penstock's own adapters, and the module of ``penstock.adapters`` that has the entry of each."""

_BUILT_IN = tuple(
    EntryPoint(name, f"penstock.adapters.{module}:entry", GROUP) for name, module in BUILT_IN.items()
)

SettingsT = TypeVar("SettingsT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterEntry(Generic[SettingsT]):
    """What the registry knows about one adapter.

    Keep the module of an entry light: import the parser inside ``build`` and ``replay``. ``penstock
    adapters`` and ``penstock ingest --help`` load the entry of every adapter.
    """

    name: str
    """The name of the entry point, and of the adapter's ``Source``: dead letters are replayed by it."""
    description: str
    """One line for a list of adapters."""
    inputs: str | None
    """The inputs that it reads and their formats, in one sentence; ``None`` if it takes no inputs."""
    settings: type[SettingsT]
    """A pydantic model; each field becomes an option of ``penstock ingest NAME``.

    A field is a string, a number, a boolean, a path, or a list of these, and has a ``description``.
    """
    build: Callable[[Sequence[str], SettingsT], Adapter]
    """Builds the adapter from its inputs and its settings."""
    replay: Callable[[], Adapter]
    """Builds an adapter that parses dead letters again: it has no inputs and fetches nothing."""
    proof: Literal["captured", "documented"] | None = None
    """How a parser of an upstream's records was proved: by real *captured* records, or written from their
    *documented* form only. ``None`` if it has no upstream."""
    licence: str = ""
    """The licence or the terms of the data, and how to name its owner, in one sentence."""
    limits: str = ""
    """The limits that the upstream states for its users, in one sentence."""
    homepage: str = ""
    """Where the upstream documents its records or its API."""
    inputs_are_paths: bool = True
    """Whether inputs are paths: in a pipeline file, a relative one begins at the folder of the file."""
    origin: str = ""
    """The distribution that the entry comes from; the registry fills it in."""

    def __repr__(self) -> str:
        return repr_of(self)

    def __post_init__(self) -> None:
        if not (isinstance(self.settings, type) and issubclass(self.settings, BaseModel)):
            raise TypeError(f"settings of the adapter {self.name!r} must be a pydantic model class")
        self.settings.model_json_schema()  # raises here, not in a list of adapters, if it has no schema


def find_adapter(name: str) -> AdapterEntry[Any]:
    """Return the adapter ``name``. Only its own entry point is loaded.

    Raises:
        AdapterError: no package has it, two packages have it, or its entry point is broken.
    """
    points = _points_by_name()
    if name not in points:
        raise AdapterError(
            f"there is no adapter {name!r}; the known adapters are: {', '.join(sorted(points))}"
        )
    first, *others = points[name]
    if others and not _is_built_in(first):
        packages = " and ".join(_origin(point) for point in points[name])
        raise AdapterError(f"{packages} each have an adapter {name!r}: uninstall all of them but one")
    return _load(first)


def find_adapters() -> tuple[list[AdapterEntry[Any]], list[AdapterError]]:
    """Return all adapters that can be used, by name, and an error for each entry point that cannot."""
    entries: list[AdapterEntry[Any]] = []
    problems: list[AdapterError] = []
    for name, (first, *others) in sorted(_points_by_name().items()):
        try:
            entries.append(find_adapter(name))
        except AdapterError as error:
            problems.append(error)
        if _is_built_in(first):
            problems += [
                AdapterError(f"{_described(point)} is ignored: Penstock has an adapter of that name built in")
                for point in others
            ]
    return entries, problems


def _points_by_name() -> dict[str, list[EntryPoint]]:
    points: dict[str, list[EntryPoint]] = {}
    for point in (*_BUILT_IN, *entry_points(group=GROUP)):
        points.setdefault(point.name, []).append(point)
    return points


def _load(point: EntryPoint) -> AdapterEntry[Any]:
    try:
        entry = point.load()
    except (Exception, SystemExit) as error:  # code of other packages: it must not stop other adapters
        raise AdapterError(
            f"{_described(point)} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(entry, AdapterEntry):
        raise AdapterError(f"{_described(point)} must name an AdapterEntry, not {type(entry).__name__}")
    if entry.name != point.name:
        raise AdapterError(
            f"{_described(point)} names the adapter {entry.name!r}: give both of them the same name"
        )
    return replace(entry, origin=_origin(point))


def _described(point: EntryPoint) -> str:
    return f"the entry point {point.name} = {point.value} of {_origin(point)}"


def _origin(point: EntryPoint) -> str:
    if point.dist is None:
        return "penstock (built in)"
    name_and_version = filter(None, (point.dist.name, point.dist.version))  # None without METADATA
    return " ".join(name_and_version) or "a distribution without metadata"


def _is_built_in(point: EntryPoint) -> bool:
    return point.dist is None
