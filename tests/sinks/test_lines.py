"""Documents as lines of JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from penstock.document import Document
from penstock.errors import SinkError
from penstock.sinks.files.lines import encode_lines

texts = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.builds(
    Document.model_construct,  # unchecked, as model_copy is: pydantic refuses lone surrogates
    doc_id=texts.filter(bool),
    source=texts,
    version=texts,
    title=texts,
    content=texts,
    metadata=st.dictionaries(texts, values, max_size=3),
    content_hash=texts,
    deleted=st.booleans(),
    raw=st.none() | st.binary(max_size=4),
)


def whole(value):
    """Return ``value`` with lone surrogates replaced, by the rule of the standard library."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [whole(item) for item in value]
    return {whole(key): whole(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(st.lists(documents, max_size=5))
@example([Document(doc_id="d", source="", metadata={"\0\n\r\x1b\x7f\u0085\u2028\ud800": "\udc00\ud83d"})])
def test_each_document_is_one_line_that_reads_back(batch):
    """A document with any text, even control characters and lone surrogates, is one line of UTF-8 that reads back equal."""
    data = encode_lines(batch)
    lines = data.split(b"\n")
    assert lines.pop() == b""
    fields = [document.model_dump(mode="python") for document in batch]
    assert [json.loads(line.decode("utf-8")) for line in lines] == [whole(each) for each in fields]
    assert not any(byte < 32 for line in lines for byte in line)


@given(documents)
def test_fields_come_in_their_declared_order(document):
    """A line has all fields but the raw bytes, in their declared order."""
    names = [name for name in Document.model_fields if name != "raw"]
    assert list(json.loads(encode_lines([document]))) == names


def test_the_same_documents_give_the_same_bytes():
    """The bytes follow the order of the fields, and metadata their own order."""
    one = Document(doc_id="d", source="s", metadata={"b": 1, "a": [True, None, 1.5]}, deleted=True)
    assert encode_lines([one]) == (
        b'{"doc_id":"d","source":"s","record_id":"","version":"","title":"","content":"",'
        b'"metadata":{"b":1,"a":[true,null,1.5]},"content_hash":"","deleted":true}\n'
    )


def test_models_in_metadata():
    """A pydantic model in metadata is written as its fields, even if its text is not UTF-8."""

    class Author(BaseModel):
        name: str

    batch = [
        Document(doc_id="d", source="s", metadata={"by": Author.model_construct(name=name)})
        for name in ("a", "\ud800")
    ]
    found = [json.loads(line)["metadata"] for line in encode_lines(batch).splitlines()]
    assert found == [{"by": {"name": "a"}}, {"by": {"name": "\ufffd"}}]


def test_numbers_beyond_json():
    """Numbers that are not finite become null, and large integers stay exact."""
    document = Document(doc_id="d", source="s", metadata={"n": [float("nan"), float("inf"), 2**70]})
    assert json.loads(encode_lines([document]))["metadata"] == {"n": [None, None, 2**70]}


def test_metadata_that_contains_itself():
    """Metadata that contain themselves are refused with an error that names the document."""
    circle: dict[str, object] = {}
    circle["self"] = circle
    document = Document(doc_id="round", source="s")
    document.metadata = circle
    with pytest.raises(SinkError, match="'round' cannot be written as JSON"):
        encode_lines([document])
