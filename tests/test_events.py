"""The five events and their wire form."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from dataclasses import fields, replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock import events
from penstock.document import Document
from penstock.errors import PenstockError, WireError
from penstock.events import (
    EVENTS,
    SCHEMA_VERSION,
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
    decode,
    encode,
    encode_all,
    json_schema,
    type_adapter,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=5)
counts = st.integers(min_value=0, max_value=2**62)
documents = st.builds(
    Document,
    doc_id=st.text(min_size=1),
    source=st.text(),
    version=st.text(),
    title=st.text(),
    content=st.text(),
    metadata=json_objects,
    content_hash=st.text(),
    deleted=st.booleans(),
    raw=st.none() | st.binary(),
)
BY_FIELD = {
    "timestamp": finite,
    "duration": finite,
    "rate": finite,
    "eta_seconds": st.none() | finite,
    "document": documents,
    "parameters": json_objects,
    "metadata": json_objects,
    "raw": st.none() | st.binary(),
    "context": json_objects,
}
BY_TYPE = {
    "str": st.text(),
    "str | None": st.none() | st.text(),
    "int": counts,
    "int | None": st.none() | counts,
    "bool": st.booleans(),
}


def of(cls):
    """Return a strategy for events of ``cls`` that covers new fields too."""
    return st.builds(
        cls,
        **{f.name: {**BY_TYPE, **BY_FIELD}[f.name if f.name in BY_FIELD else f.type] for f in fields(cls)},
    )


any_event = st.one_of(*map(of, EVENTS))


def without_raw(event):
    """Return ``event`` without the raw record, which has no wire form."""
    if isinstance(event, DocumentFailed):
        return replace(event, raw=None, key=None, context={})
    if isinstance(event, DocumentCompleted):
        return replace(event, document=event.document.model_copy(update={"raw": None}))
    return event


def started(**changes):
    return replace(DocumentStarted(1.5, "run", "1.1", "pubmed"), **changes)


def line_of(event=None, **changes):
    """Return the line of an event with some members replaced; ``...`` removes one."""
    wire = {**json.loads(encode(event or started())), **changes}
    return json.dumps({name: value for name, value in wire.items() if value is not ...}).encode()


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@given(any_event)
def test_what_is_written_reads_back_equal(event):
    """``decode`` returns what ``encode`` wrote, without the raw record."""
    assert decode(encode(event)) == without_raw(event)
    assert type(decode(encode(event))) is type(event)


@given(any_event)
def test_a_line_is_one_line_of_plain_json(event):
    """A line ends with its only newline, is plain JSON, and begins with the tag and the version."""
    line = encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    wire = json.loads(line)
    assert list(wire)[:2] == ["type", "schema_version"]
    assert (wire["type"], wire["schema_version"]) == (type(event).__name__, SCHEMA_VERSION)
    assert list(wire)[2:] == [f.name for f in fields(event) if f.name not in ("raw", "key", "context")]


@given(any_event)
def test_json_schema_accepts_every_line(event):
    """Every line matches the JSON Schema."""
    VALIDATOR.validate(json.loads(encode(event)))


@given(any_event)
def test_pydantic_reads_what_encode_writes(event):
    """The TypeAdapter reads a line as ``decode`` does."""
    assert type_adapter().validate_json(encode(event)) == without_raw(event)
    assert type_adapter().validate_python(json.loads(encode(event))) == without_raw(event)


@given(any_event)
def test_decode_reads_what_pydantic_writes(event):
    """The TypeAdapter writes the same wire form."""
    assert decode(type_adapter().dump_json(event)) == without_raw(event)
    assert type_adapter().dump_python(event, mode="json") == json.loads(encode(event))


@given(any_event)
def test_pydantic_passes_events_through(event):
    """Validating an event returns the same object, so a model may have an event as a field."""
    assert type_adapter().validate_python(event) is event


@given(st.lists(any_event, max_size=5))
def test_encode_all_is_all_lines_in_order(several):
    """``encode_all`` returns the lines of all events, in order."""
    assert encode_all(iter(several)) == b"".join(map(encode, several))


@pytest.mark.parametrize("cls", EVENTS)
def test_fields_with_a_default_may_be_absent(cls):
    """A writer may leave out fields that have a default, and no others."""
    document = Document(doc_id="1", source="s")
    plain = {"float": 1.0, "str": "x", "str | None": "x", "int": 3, "Document": document}
    required = [f.name for f in fields(cls) if f.default is f.default_factory is dataclasses.MISSING]
    event = cls(**{f.name: plain[f.type] for f in fields(cls) if f.name in required})
    wire = json.loads(encode(event))
    kept = {name: wire[name] for name in ["type", "schema_version", *required]}
    assert decode(json.dumps(kept)) == event
    for name in required:
        with pytest.raises(WireError, match=name):
            decode(json.dumps({k: v for k, v in kept.items() if k != name}))


def test_required_fields_are_the_ones_of_the_contract():
    """The names and the order of fields stay, because users construct events with them."""
    assert [f.name for f in fields(DocumentStarted)] == [
        "timestamp",
        "pipeline_id",
        "doc_id",
        "adapter",
        "parameters",
    ]
    assert [f.name for f in fields(AdapterStateChange)][2:] == ["adapter", "old_state", "new_state", "reason"]


def test_subclasses_of_document_travel_as_documents():
    """A subclass of Document is written with the fields of Document only."""

    class Article(Document):
        journal: str = ""

    event = DocumentCompleted(1.0, "run", "1", "s", Article(doc_id="1", source="s", journal="J"), 0.5)
    assert decode(encode(event)).document == Document(doc_id="1", source="s")


LOOP: dict = {}
LOOP["again"] = LOOP
DEEP: dict = {}
for _ in range(50_000):  # deeper than any limit: that of 3.11 counts Python calls, later ones count C calls
    DEEP = {"d": DEEP}

UNWRITABLE = [
    ({"a": math.nan}, "parameters.a is nan"),
    ({"a": {"b": [1, -math.inf]}}, r"parameters.a.b\[1\] is -inf"),
    ({"a": b"x"}, "parameters.a is of type bytes"),
    ({"a": (1, 2)}, "parameters.a is of type tuple"),
    ({"a": {1}}, "parameters.a is of type set"),
    ({"a": object()}, "parameters.a is of type object"),
    ({1: 2}, "parameters has the key 1"),
    ({"a": {None: 2}}, "parameters.a has the key None"),
    ({"a": "x\ud800"}, "parameters.a holds half of a surrogate pair"),
    ({"\udfff": 1}, "a key of parameters holds half of a surrogate pair"),
    (LOOP, "contains itself"),
    (DEEP, "nested too deeply"),
]


@pytest.mark.parametrize(("value", "reason"), UNWRITABLE, ids=[reason for _, reason in UNWRITABLE])
def test_what_json_cannot_carry_is_refused(value, reason):
    """A value that JSON does not have is refused, and the message names the document and the field."""
    with pytest.raises(WireError, match=rf"DocumentStarted of '1\.1' cannot be written as JSON: .*{reason}"):
        encode(started(parameters=value))
    with pytest.raises(WireError):
        encode_all([started(), started(parameters=value)])
    document = Document.model_construct(doc_id="1.1", source="s", metadata=value)
    with pytest.raises(WireError, match=r"DocumentCompleted of '1\.1'"):
        encode(DocumentCompleted(1.0, "run", "1.1", "s", document, 0.5))


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (started(timestamp=math.nan), "timestamp"),
        (DocumentCompleted(1.0, "r", "1", "s", Document(doc_id="1", source="s"), math.inf), "duration"),
        (BatchProgress(1.0, "r", 1, 2, 3, 4, rate=math.nan), "rate"),
        (BatchProgress(1.0, "r", 1, 2, 3, 4, eta_seconds=math.inf), "eta_seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_times_that_are_no_numbers_are_refused(event, field):
    """A number that is not finite is refused and does not become null."""
    with pytest.raises(WireError, match=f"{field} is "):
        encode(event)
    with pytest.raises(Exception, match=f"{field} is "):
        type_adapter().dump_json(event)


def test_half_a_surrogate_pair_in_text_is_refused():
    """Text that UTF-8 cannot hold is refused, and the message names the field."""
    document = Document.model_construct(doc_id="1", source="s", title="\udcff")
    with pytest.raises(WireError, match=r"document\.title holds half of a surrogate pair"):
        encode(DocumentCompleted(1.0, "r", "1", "s", document, 0.5))


@pytest.mark.parametrize("thing", [PipelineEvent(1.0, "run"), "DocumentStarted", None])
def test_only_the_five_events_have_a_wire_form(thing):
    """Any other value is refused, and the message lists the five events."""
    with pytest.raises(WireError, match="none of the events that have a wire form: DocumentStarted"):
        encode(thing)


UNREADABLE = {
    "empty": (b"", "not an event"),
    "no json": (b"nope", "not an event"),
    "no object": (b"[]", "not an event"),
    "bad utf-8": (b'"\xff"', "not an event"),
    "half a line": (encode(started())[:40], "not an event"),
    "two lines": (encode(started()) * 2, "not an event"),
    "deep": (b'{"type":' * 100_000, "not an event"),
    "no type": (line_of(type=...), "type"),
    "no version": (line_of(schema_version=...), "schema_version"),
    "unknown type": (
        line_of(type="DocumentLost"),
        "unknown event type 'DocumentLost'; known are Doc",
    ),
    "unknown field": (line_of(colour="red"), "not a DocumentStarted: .*colour"),
    "missing field": (line_of(doc_id=...), "not a DocumentStarted: .*doc_id"),
    "wrong type": (line_of(timestamp="now"), r"not a DocumentStarted: .*\$\.timestamp"),
    "number as bool": (line_of(BatchProgress(1.0, "r", 1, 2, 3, 4), completed=True), "completed"),
    "raw bytes": (line_of(DocumentFailed(1.0, "r", "1", "s", "e", "E"), raw="eA=="), "raw"),
    "version of tomorrow": (
        line_of(schema_version=SCHEMA_VERSION + 1, colour="red"),
        "newer Penstock .*upgrade",
    ),
    "version zero": (line_of(schema_version=0), "schema_version 0 does not exist"),
    "not a number": (line_of(timestamp=math.nan), "not an event"),
    "document without id": (
        line_of(DocumentCompleted(1.0, "r", "1", "s", Document(doc_id="1", source="s"), 0.5)).replace(
            b'"document": {"doc_id": "1"', b'"document": {"doc_id": ""'
        ),
        r"at `\$\.document\.doc_id`",
    ),
}


@pytest.mark.parametrize(("line", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_event_is_refused(line, reason):
    """The error about a bad line is one sentence: what is wrong, and the beginning of the line."""
    with pytest.raises(WireError, match=reason) as caught:
        decode(line)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValidationError):
        type_adapter().validate_json(line)


@given(st.binary() | st.text() | json_values.map(json.dumps))
def test_no_line_at_all_breaks_the_reader(line):
    """For any input ``decode`` returns an event or raises ``WireError``."""
    try:
        decode(line)
    except WireError as error:
        assert "event" in str(error)


@given(any_event, st.data())
def test_a_damaged_line_is_an_event_or_refused(event, data):
    """A line with one changed byte is an event or raises ``WireError``."""
    line = bytearray(encode(event))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        assert isinstance(decode(bytes(line)), PipelineEvent)


def test_wire_errors_are_ours_and_value_errors():
    """``WireError`` is a ``PenstockError`` and a ``ValueError``."""
    assert issubclass(WireError, PenstockError)
    assert issubclass(WireError, ValueError)


@pytest.mark.parametrize("cls", EVENTS)
def test_events_are_small(cls):
    """Events have slots and are not frozen, so they are cheap to create."""
    assert "__dict__" not in dir(cls)
    assert not cls.__dataclass_params__.frozen


def test_json_schema_names_its_tag_and_version():
    """The schema allows no other fields, discriminates by ``type``, and states its version."""
    schema = json_schema()
    assert {cls.__name__ for cls in EVENTS} == set(schema["discriminator"]["mapping"])
    for cls in EVENTS:
        definition = schema["$defs"][cls.__name__]
        assert definition["additionalProperties"] is False
        assert definition["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert "raw" not in json.dumps([d["properties"] for d in schema["$defs"].values()])


def test_the_adapter_is_built_once():
    """The adapter is built once, because building it takes milliseconds."""
    assert type_adapter() is type_adapter()
    assert events.type_adapter is type_adapter
