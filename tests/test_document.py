"""Raw records and documents."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penstock.document import Document, RawRecord, content_hash


@given(st.binary())
def test_content_hash_is_sha256(data):
    """The hash is SHA-256, in 64 lower-case hexadecimal digits."""
    assert content_hash(data) == hashlib.sha256(data).hexdigest()
    assert len(content_hash(data)) == 64


def test_content_hash_of_nothing_is_the_published_one():
    """The hash of nothing is the value that FIPS 180-4 publishes, so hashes in old ledgers stay comparable."""
    assert content_hash(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_records_do_not_share_their_context():
    """Each record has its own context."""
    one, other = RawRecord("a#0", b""), RawRecord("a#1", b"")
    one.context["kind"] = "x"
    assert other.context == {}


def test_documents_do_not_share_their_metadata():
    """Each document has its own metadata."""
    one, other = Document(doc_id="1", source="s"), Document(doc_id="2", source="s")
    one.metadata["kind"] = "x"
    assert other.metadata == {}


def test_a_document_needs_an_identifier():
    """An empty ``doc_id`` is refused."""
    with pytest.raises(ValidationError, match="doc_id"):
        Document(doc_id="", source="s")


def test_a_document_refuses_fields_it_does_not_have():
    """A misspelt field is refused."""
    with pytest.raises(ValidationError, match="titel"):
        Document(doc_id="1", source="s", titel="x")


def test_raw_bytes_stay_inside():
    """``raw`` is kept on the object, but ``repr`` and dumps leave it out."""
    document = Document(doc_id="1", source="s", raw=b"SECRET")
    assert document.raw == b"SECRET"
    assert "SECRET" not in repr(document)
    assert "raw" not in document.model_dump()
    assert "SECRET" not in document.model_dump_json()


@given(st.builds(Document, doc_id=st.text(min_size=1), source=st.text(), content=st.text(), raw=st.binary()))
def test_a_dumped_document_reads_back_equal_but_for_raw(document):
    """A document reads back equal from its JSON, without its raw bytes."""
    assert Document.model_validate_json(document.model_dump_json()) == document.model_copy(
        update={"raw": None}
    )
