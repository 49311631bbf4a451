"""What a pipeline says while it runs: five events, and their form on the wire.

On the wire an event is one line of JSON: ``type`` (the name of its class), ``schema_version``, then its
fields under their own names. ``raw`` never travels, neither a failed document's nor a ``Document``'s.
``encode`` and ``decode`` are the fast way; ``type_adapter`` and ``json_schema`` say the same to pydantic and
to everybody else.

What is written can be read back equal, or is refused: JSON has no NaN, bytes, tuples or integer keys, so
``encode`` compares what the free-form fields (``parameters``, ``metadata``) become with what they were. A
reader takes every ``schema_version`` from 1 to its own, fills in fields that have a default, and refuses
newer versions and fields it does not know, because dropping them would be silent loss.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_type_hints

import msgspec
from pydantic import ValidationError

from penstock.document import Document
from penstock.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel, TypeAdapter

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "AdapterStateChange",
    "BatchProgress",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentStarted",
    "PipelineEvent",
    "decode",
    "encode",
    "encode_all",
    "json_schema",
    "type_adapter",
]

SCHEMA_VERSION = 1
"""Rises with every change of the wire form, an added field included."""


@dataclass(slots=True)
class PipelineEvent:
    """The root of the hierarchy; read-only by contract.

    ``timestamp`` is Unix time in seconds, ``pipeline_id`` names the run.
    """

    timestamp: float
    pipeline_id: str


@dataclass(slots=True)
class DocumentStarted(PipelineEvent):
    """A document was recognised; nothing of it has been parsed yet."""

    doc_id: str
    adapter: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentCompleted(PipelineEvent):
    """A document passed every step. ``duration`` is in seconds, from its ``DocumentStarted``."""

    doc_id: str
    adapter: str
    document: Document
    duration: float
    retry_count: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentFailed(PipelineEvent):
    """One attempt at a document failed; ``will_retry`` says whether there is another.

    ``raw``, ``key`` and ``context`` are those of the ``RawRecord``, for dead letters: its bytes, where it
    came from (``file#index``), and what ``parse`` needs besides. They never go on the wire.
    """

    doc_id: str | None
    adapter: str
    error: str
    error_type: str
    retry_count: int = 0
    is_retryable: bool = False
    will_retry: bool = False
    traceback: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    context: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class BatchProgress(PipelineEvent):
    """Sums of the logical run so far. ``rate`` is documents per second, ``eta_seconds`` needs a total."""

    completed: int
    failed: int
    skipped: int
    in_flight: int
    estimated_total: int | None = None
    rate: float = 0.0
    eta_seconds: float | None = None
    is_checkpoint: bool = False


@dataclass(slots=True)
class AdapterStateChange(PipelineEvent):
    """The adapter went from one state to another.

    States are ``running``, ``retrying``, ``completed``, ``failed`` and ``cancelled``.
    """

    adapter: str
    old_state: str
    new_state: str
    reason: str | None = None


EVENTS: tuple[type[PipelineEvent], ...] = (
    DocumentStarted,
    DocumentCompleted,
    DocumentFailed,
    BatchProgress,
    AdapterStateChange,
)
"""The five that are ever emitted; only they have a wire form."""

_BY_NAME = {cls.__name__: cls for cls in EVENTS}

_NEVER_ON_THE_WIRE = frozenset({"raw", "key", "context"})


# -- writing and reading lines: msgspec ---------------------------------------------------------------


def encode(event: PipelineEvent) -> bytes:
    """Return ``event`` as one line of JSON, newline included.

    The scalar fields are trusted to be of their declared types: type checkers see to those.

    Raises:
        WireError: a value in it has no JSON form that reads back equal (NaN, infinity, bytes, a tuple, a
            key that is not a string, half a surrogate pair, a structure that contains itself), or it is
            none of the five events. The message says which field.
    """
    return _encoded(event) + b"\n"


def encode_all(events: Iterable[PipelineEvent]) -> bytes:
    """Return ``events`` as lines of JSON, one each, in order; no events give no bytes.

    Raises:
        WireError: as for ``encode``; nothing is returned then.
    """
    lines = [_encoded(event) for event in events]
    lines.append(b"")
    return b"\n".join(lines)


def decode(line: bytes | str) -> PipelineEvent:
    """Return the event that ``line`` holds, with or without its newline.

    Raises:
        WireError: it is not JSON, not an event, of an unknown ``type``, of a newer ``schema_version``, or
            has a field too many, too few or of the wrong type. The message says which.
    """
    try:
        wire = _decoder().decode(line)
        if not 1 <= wire.schema_version <= SCHEMA_VERSION:
            raise _unreadable(line, None)
        return _READERS[type(wire)](wire)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        if isinstance(error, WireError):
            raise
        raise _unreadable(line, error) from error


def _encoded(event: PipelineEvent) -> bytes:
    writer = _WRITERS.get(type(event))
    if writer is None:
        known = ", ".join(_BY_NAME)
        raise WireError(f"{type(event).__qualname__} is none of the events that have a wire form: {known}")
    try:
        return _dump(writer(event))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _unwritable(event, error) from error


def _struct(cls: type, names: Iterable[tuple[str, Any, Any]], **config: Any) -> type[msgspec.Struct]:
    """Return the Struct that mirrors ``cls`` on the wire; ``names`` are (name, type, default)."""
    spec = [(name, kind) if default is MISSING else (name, kind, default) for name, kind, default in names]
    return msgspec.defstruct(cls.__name__, spec, forbid_unknown_fields=True, module=__name__, **config)


def _document_fields() -> list[tuple[str, Any, Any]]:
    """Return (name, type, default or MISSING) of what a ``Document`` shows on the wire."""
    return [
        (
            name,
            Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation,
            MISSING if info.is_required() else info.get_default(call_default_factory=True),
        )
        for name, info in Document.model_fields.items()
        if name not in _NEVER_ON_THE_WIRE
    ]


def _event_fields(cls: type[PipelineEvent], document: type) -> list[tuple[str, Any, Any]]:
    """Return the same of an event; its ``document`` has the type ``document``."""
    hints = {**get_type_hints(cls), "document": document}
    return [
        (f.name, hints[f.name], {} if f.default_factory is dict else f.default)
        for f in fields(cls)
        if f.name not in _NEVER_ON_THE_WIRE
    ]


_DocumentStruct = _struct(Document, _document_fields())
_STRUCTS = tuple(
    _struct(
        cls,
        [("schema_version", int, MISSING), *_event_fields(cls, _DocumentStruct)],
        tag=cls.__name__,
        tag_field="type",
    )
    for cls in EVENTS
)

_dump = msgspec.json.Encoder().encode
_load = msgspec.json.Decoder().decode


def _json(value: dict[str, Any]) -> Any:
    """Return ``value`` as finished JSON, made sure that it reads back equal."""
    if not value:
        return {}
    data = _dump(value)
    if _load(data) != value:
        raise ValueError("it does not read back equal")
    return msgspec.Raw(data)


def _finite(seconds: float | None) -> float | None:
    # msgspec writes NaN and infinity as null, without a word.
    if seconds is None or isfinite(seconds):
        return seconds
    raise ValueError(f"{seconds} is no number")


def _writer(struct: type[msgspec.Struct], *constants: str) -> Callable[[Any], msgspec.Struct]:
    """Compile the function that makes a ``struct`` of an event or document.

    Compiled, as dataclasses compile theirs, because a loop over field names costs a microsecond more.
    """
    kinds = get_type_hints(struct)

    def argument(name: str) -> str:
        kind = kinds[name]
        check = "_finite" if kind in {float, float | None} else "_json" if kind == dict[str, Any] else ""
        return f"_write_document(item.{name})" if kind is _DocumentStruct else f"{check}(item.{name})"

    names = struct.__struct_fields__[len(constants) :]
    source = f"lambda item: struct({', '.join([*constants, *map(argument, names)])})"
    return cast("Callable[[Any], msgspec.Struct]", eval(source, {**globals(), "struct": struct}))  # noqa: S307


_write_document = _writer(_DocumentStruct)
_WRITERS: dict[type[PipelineEvent], Callable[[Any], msgspec.Struct]] = {
    cls: _writer(struct, "SCHEMA_VERSION") for cls, struct in zip(EVENTS, _STRUCTS, strict=True)
}


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Union[_STRUCTS])  # noqa: UP007  # a union made of a tuple has no other spelling


def _reader(cls: type[PipelineEvent], struct: type[msgspec.Struct]) -> Callable[[Any], PipelineEvent]:
    values = attrgetter(*struct.__struct_fields__[1:])
    return lambda wire: cls(*values(wire))


def _read_completed(wire: Any) -> DocumentCompleted:
    try:
        document = Document(**msgspec.structs.asdict(wire.document))
    except ValidationError as error:
        first = error.errors()[0]
        message = f"{first['msg']} - at `{'.'.join(map(str, ('$.document', *first['loc'])))}`"
        raise ValueError(message) from error
    return DocumentCompleted(
        wire.timestamp,
        wire.pipeline_id,
        wire.doc_id,
        wire.adapter,
        document,
        wire.duration,
        wire.retry_count,
        wire.metadata,
    )


_READERS: dict[type, Callable[[Any], PipelineEvent]] = {
    **{struct: _reader(cls, struct) for cls, struct in zip(EVENTS, _STRUCTS, strict=True)},
    _STRUCTS[EVENTS.index(DocumentCompleted)]: _read_completed,
}


# -- saying what is wrong: slow, and only when something is -------------------------------------------


def _unwritable(event: PipelineEvent, error: Exception) -> WireError:
    doc_id = getattr(event, "doc_id", None)
    name = type(event).__name__ if doc_id is None else f"{type(event).__name__} of {doc_id!r}"
    try:
        found = _culprit(_shown(event), "")
    except RecursionError:
        found = "it is nested too deeply, or contains itself"
    return WireError(f"{name} cannot be written as JSON: {found or error}")


def _shown(item: PipelineEvent | Document) -> dict[str, Any]:
    """Return what ``item`` shows on the wire, by name, a ``Document`` within it taken apart too."""
    struct = _DocumentStruct if isinstance(item, Document) else _STRUCTS[EVENTS.index(type(item))]
    shown = {n: getattr(item, n) for n in struct.__struct_fields__ if n != "schema_version"}
    return {n: _shown(v) if isinstance(v, Document) else v for n, v in shown.items()}


def _culprit(value: Any, path: str) -> str | None:
    """Return a sentence about the first thing in ``value`` that JSON cannot carry, or None."""
    if type(value) is list:
        return next(filter(None, (_culprit(v, f"{path}[{i}]") for i, v in enumerate(value))), None)
    if type(value) is dict:
        return next(filter(None, (_culprit_of_item(k, v, path) for k, v in value.items())), None)
    if isinstance(value, str):
        halves = any("\ud800" <= c <= "\udfff" for c in value)
        return f"{path} holds half of a surrogate pair: {value[:40]!a}" if halves else None
    if isinstance(value, float):
        return None if isfinite(value) else f"{path} is {value}, which JSON does not have"
    if value is None or isinstance(value, int):
        return None
    kinds = "a string, number, bool, None, list or dict"
    return f"{path} is of type {type(value).__name__}; make it {kinds}"


def _culprit_of_item(key: Any, value: Any, path: str) -> str | None:
    if not isinstance(key, str):
        return f"{path} has the key {key!r}; make it a string"
    return _culprit(key, f"a key of {path}") or _culprit(value, f"{path}.{key}" if path else key)


class _Head(msgspec.Struct):
    type: str
    schema_version: int


def _unreadable(line: bytes | str, error: Exception | None) -> WireError:
    """Return the plainest reason why ``line`` is no event; a newer version explains all the rest."""
    excerpt = f"{line[:60]!r}{'…' if len(line) > 60 else ''}"  # noqa: PLR2004  # enough to find the line by
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return WireError(f"this line is not an event: {error}: {excerpt}")
    if head.schema_version > SCHEMA_VERSION:
        versions = f"schema_version {head.schema_version}, this one reads up to {SCHEMA_VERSION}"
        return WireError(f"this event was written by a newer Penstock ({versions}): upgrade it: {excerpt}")
    if head.schema_version < 1:
        return WireError(f"schema_version {head.schema_version} never existed; it counts from 1: {excerpt}")
    if head.type not in _BY_NAME:
        return WireError(f"unknown event type {head.type!r}; known are {', '.join(_BY_NAME)}: {excerpt}")
    return WireError(f"this line is not a {head.type}: {error}: {excerpt}")


# -- the same for pydantic, built when somebody asks --------------------------------------------------


@cache
def type_adapter() -> TypeAdapter[PipelineEvent]:
    """Return pydantic's adapter for the five events in their wire form, discriminated by ``type``.

    It validates wire objects, and passes events through; both ways give events. What it refuses
    is a ``pydantic.ValidationError``.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(Annotated[PipelineEvent, _WireForm()])


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one line."""
    schema = type_adapter().json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "PipelineEvent", **schema}


@cache
def _models() -> dict[str, type[BaseModel]]:
    """Return pydantic models that mirror the wire form, by ``type``."""
    from pydantic import ConfigDict, create_model

    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def mirror(cls: type, names: list[tuple[str, Any, Any]]) -> type[BaseModel]:
        shown: dict[str, Any] = {name: (kind, ... if d is MISSING else d) for name, kind, d in names}
        return create_model(cls.__name__, __config__=config, __doc__=cls.__doc__, **shown)

    document = mirror(Document, _document_fields())
    version = ("schema_version", Literal[SCHEMA_VERSION], MISSING)
    return {
        cls.__name__: mirror(
            cls, [("type", Literal[cls.__name__], MISSING), version, *_event_fields(cls, document)]
        )
        for cls in EVENTS
    }


class _WireForm:
    """The annotation that gives ``PipelineEvent`` its wire form under pydantic."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field
        from pydantic_core import core_schema

        wire = handler.generate_schema(
            Annotated[Union[tuple(_models().values())], Field(discriminator="type")]  # noqa: UP007
        )
        # The fast way does the writing; a second one would only be a second opinion.
        write = core_schema.plain_serializer_function_ser_schema(lambda event: _load(_encoded(event)))
        describe = {"pydantic_js_functions": [lambda _, describe_schema: describe_schema(wire)]}
        return core_schema.no_info_wrap_validator_function(
            _from_pydantic, wire, serialization=write, metadata=describe
        )


def _from_pydantic(value: Any, validate: Callable[[Any], BaseModel]) -> PipelineEvent:
    if isinstance(value, EVENTS):
        return value
    shown = dict(validate(value))
    shown.pop("schema_version")
    if "document" in shown:
        shown["document"] = Document(**dict(shown["document"]))
    event = _BY_NAME[shown.pop("type")](**shown)
    _encoded(event)  # refuses what pydantic lets pass: NaN, or Python objects within metadata
    return event
