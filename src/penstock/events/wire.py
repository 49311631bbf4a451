"""The wire form of events.

An event is one line of JSON: ``type`` (the name of its class), ``schema_version``, then its fields. ``raw``
is never written. ``encode`` and ``decode`` are fast; ``type_adapter`` and ``json_schema`` describe the same
form to pydantic and to other programs.

``encode`` refuses values that would not read back equal: JSON has no NaN, bytes, tuples or integer keys.
``encode_all(exact=False)`` replaces such values.

A reader accepts every ``schema_version`` from 1 to its own, and fills in fields that have a default. It
refuses newer versions and unknown fields, because ignoring them would lose data silently.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, cast, get_type_hints

import msgspec
from pydantic import ValidationError

from penstock.document import Document
from penstock.errors import WireError
from penstock.events.event import EVENTS, DocumentCompleted, PipelineEvent
from penstock.events.replaced import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import BaseModel, TypeAdapter

SCHEMA_VERSION = 1
"""Rises with each change of the wire form, even an added field."""

_BY_NAME = {cls.__name__: cls for cls in EVENTS}
_NOT_WRITTEN = frozenset({"raw", "key", "context"})


# -- lines of JSON, by msgspec


def encode(event: PipelineEvent) -> bytes:
    """Return ``event`` as one line of JSON with its newline.

    Does not check the types of scalar fields: type checkers do.

    Raises:
        WireError: ``event`` is none of the five events. Or a value would not read back equal: NaN, infinity,
            bytes, a tuple, a key that is no string, half a surrogate pair, a structure that contains itself.
            The message names the field.
    """
    return _encoded(event) + b"\n"


def encode_all(events: Iterable[PipelineEvent], *, exact: bool = True) -> bytes:
    """Return ``events`` as lines of JSON, in order. Raises as ``encode``.

    If ``exact`` is false, no value raises: what JSON does not have is replaced, as sinks replace it. NaN and
    infinity become ``null``, half a surrogate pair U+FFFD, a tuple a list, a key its text, any other value
    its text, and what contains itself ends in ``null``.
    """
    lines = [_encoded(event) if exact else _replaced(event) for event in events]
    lines.append(b"")
    return b"\n".join(lines)


def decode(line: bytes | str) -> PipelineEvent:
    """Return the event of a line, which may end in a newline.

    Raises:
        WireError: the line is not JSON or no event, its ``type`` is unknown, its ``schema_version`` is newer,
            or a field is unknown, missing or of the wrong type. The message says which.
    """
    try:
        wire = _decoder().decode(line)
        if not 1 <= wire.schema_version <= SCHEMA_VERSION:
            raise _unreadable(line, None)
        return _READERS[type(wire)](wire)
    except WireError:
        raise
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable(line, error) from error


def _encoded(event: PipelineEvent) -> bytes:
    writer = _WRITERS.get(type(event))
    if writer is None:
        known = ", ".join(_BY_NAME)
        raise WireError(f"{type(event).__qualname__} is none of the events that have a wire form: {known}")
    try:
        return _dump(writer(event))
    except (TypeError, ValueError, OverflowError, RecursionError, AttributeError) as error:
        raise _unwritable(event, error) from error


def _replaced(event: PipelineEvent) -> bytes:
    try:
        return _encoded(event)
    except WireError:
        if type(event) not in _WRITERS:
            raise
        head = {"type": type(event).__name__, "schema_version": SCHEMA_VERSION}
        return _dump({**head, **replaced(_fields_of(event))})


def _struct(cls: type, names: Iterable[tuple[str, Any, Any]], **config: Any) -> type[msgspec.Struct]:
    """Return the Struct for the wire form of ``cls``; ``names`` are (name, type, default)."""
    spec = [(name, kind) if default is MISSING else (name, kind, default) for name, kind, default in names]
    return msgspec.defstruct(cls.__name__, spec, forbid_unknown_fields=True, module=__name__, **config)


def _document_fields() -> list[tuple[str, Any, Any]]:
    """Return (name, type, default or MISSING) of each field in the wire form of a ``Document``."""
    return [
        (
            name,
            Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation,
            MISSING if info.is_required() else info.get_default(call_default_factory=True),
        )
        for name, info in Document.model_fields.items()
        if name not in _NOT_WRITTEN
    ]


def _event_fields(cls: type[PipelineEvent], document: type) -> list[tuple[str, Any, Any]]:
    """Return the same for an event; ``document`` is the type of its field ``document``."""
    hints = {**get_type_hints(cls), "document": document}
    return [
        (f.name, hints[f.name], {} if f.default_factory is dict else f.default)
        for f in fields(cls)
        if f.name not in _NOT_WRITTEN
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
    """Return ``value`` as encoded JSON; raise ``ValueError`` if it does not read back equal."""
    if not value:
        return {}
    data = _dump(value)
    if _load(data) != value:
        raise ValueError("it does not read back equal")
    return msgspec.Raw(data)


def _finite(seconds: float | None) -> float | None:
    # msgspec would write NaN and infinity as null.
    if seconds is None or isfinite(seconds):
        return seconds
    raise ValueError(f"{seconds} is not finite")


def _writer(struct: type[msgspec.Struct], *constants: str) -> Callable[[Any], msgspec.Struct]:
    """Compile a function that turns an event or document into a ``struct``.

    A loop over the field names would take a microsecond longer.
    """
    kinds = get_type_hints(struct)

    def argument(name: str) -> str:
        kind = kinds[name]
        check = "_finite" if kind in {float, float | None} else "_json" if kind == dict[str, Any] else ""
        return f"{'_write_document' if kind is _DocumentStruct else check}(item.{name})"

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


# -- error messages


def _unwritable(event: PipelineEvent, error: Exception) -> WireError:
    doc_id = getattr(event, "doc_id", None)
    name = type(event).__name__ if doc_id is None else f"{type(event).__name__} of {doc_id!r}"
    try:
        problem = _problem(_fields_of(event), "")
    except RecursionError:
        problem = "it is nested too deeply, or contains itself"
    return WireError(f"{name} cannot be written as JSON: {problem or error}")


def _fields_of(item: PipelineEvent | Document) -> dict[str, Any]:
    """Return the fields of ``item`` in its wire form, with those of a ``Document`` in it."""
    struct = _DocumentStruct if isinstance(item, Document) else _STRUCTS[EVENTS.index(type(item))]
    values = {n: getattr(item, n, None) for n in struct.__struct_fields__ if n != "schema_version"}
    return {n: _fields_of(v) if isinstance(v, Document) else v for n, v in values.items()}


def _problem(value: Any, path: str) -> str | None:
    """Return a sentence about the first part of ``value`` that JSON cannot hold, or ``None``."""
    if type(value) is list:
        return next(filter(None, (_problem(v, f"{path}[{i}]") for i, v in enumerate(value))), None)
    if type(value) is dict:
        return next(filter(None, (_problem_of_item(k, v, path) for k, v in value.items())), None)
    if isinstance(value, str):
        halves = any("\ud800" <= c <= "\udfff" for c in value)
        return f"{path} holds half of a surrogate pair: {value[:40]!a}" if halves else None
    if isinstance(value, float):
        return None if isfinite(value) else f"{path} is {value}, which JSON does not have"
    if value is None or isinstance(value, int):
        return None
    kinds = "a string, number, bool, None, list or dict"
    return f"{path} is of type {type(value).__name__}; make it {kinds}"


def _problem_of_item(key: Any, value: Any, path: str) -> str | None:
    if not isinstance(key, str):
        return f"{path} has the key {key!r}; make it a string"
    return _problem(key, f"a key of {path}") or _problem(value, f"{path}.{key}" if path else key)


class _Head(msgspec.Struct):
    type: str
    schema_version: int


def _unreadable(line: bytes | str, error: Exception | None) -> WireError:
    """Return the error for ``line``. A newer version is the reason to name before any other."""
    excerpt = f"{line[:60]!r}{'…' if len(line) > 60 else ''}"  # noqa: PLR2004  # enough to find the line
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return WireError(f"this line is not an event: {error}: {excerpt}")
    if head.schema_version > SCHEMA_VERSION:
        versions = f"schema_version {head.schema_version}, this one reads up to {SCHEMA_VERSION}"
        return WireError(f"a newer Penstock wrote this event ({versions}); upgrade Penstock: {excerpt}")
    if head.schema_version < 1:
        return WireError(
            f"schema_version {head.schema_version} does not exist; versions begin at 1: {excerpt}"
        )
    if head.type not in _BY_NAME:
        return WireError(f"unknown event type {head.type!r}; known are {', '.join(_BY_NAME)}: {excerpt}")
    return WireError(f"this line is not a {head.type}: {error}: {excerpt}")


# -- pydantic and JSON Schema, built on demand


@cache
def type_adapter() -> TypeAdapter[PipelineEvent]:
    """Return pydantic's adapter for the five events in wire form, discriminated by ``type``.

    It turns wire objects into events and returns events unchanged. It raises ``pydantic.ValidationError``.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(Annotated[PipelineEvent, _WireForm()])


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a line."""
    schema = type_adapter().json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "PipelineEvent", **schema}


@cache
def _models() -> dict[str, type[BaseModel]]:
    """Return a pydantic model of each wire form, by ``type``."""
    from pydantic import ConfigDict, create_model

    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def model(cls: type, names: list[tuple[str, Any, Any]]) -> type[BaseModel]:
        specs: dict[str, Any] = {name: (kind, ... if d is MISSING else d) for name, kind, d in names}
        return create_model(cls.__name__, __config__=config, __doc__=cls.__doc__, **specs)

    document = model(Document, _document_fields())
    version = ("schema_version", Literal[SCHEMA_VERSION], MISSING)
    return {
        cls.__name__: model(
            cls, [("type", Literal[cls.__name__], MISSING), version, *_event_fields(cls, document)]
        )
        for cls in EVENTS
    }


class _WireForm:
    """An annotation: pydantic reads and writes the wire form of ``PipelineEvent``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field
        from pydantic_core import core_schema

        wire = handler.generate_schema(
            Annotated[Union[tuple(_models().values())], Field(discriminator="type")]  # noqa: UP007
        )
        write = core_schema.plain_serializer_function_ser_schema(lambda event: _load(_encoded(event)))
        describe = {"pydantic_js_functions": [lambda _, describe_schema: describe_schema(wire)]}
        return core_schema.no_info_wrap_validator_function(
            _from_pydantic, wire, serialization=write, metadata=describe
        )


def _from_pydantic(value: Any, validate: Callable[[Any], BaseModel]) -> PipelineEvent:
    if isinstance(value, EVENTS):
        return value
    values = dict(validate(value))
    values.pop("schema_version")
    if "document" in values:
        values["document"] = Document(**dict(values["document"]))
    event = _BY_NAME[values.pop("type")](**values)
    _encoded(event)  # refuses what pydantic accepts: NaN, or Python objects within metadata
    return event
