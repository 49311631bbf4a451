"""A document that no sink can write fails by itself: the run goes on, and its events and sums stay right."""

from __future__ import annotations

import enum
import json
import math

import pytest
from expression import Ok

from penstock import IngestionPipeline, RetryPolicy
from penstock.abc import Page, Source
from penstock.adapters.event_flow import Adapter
from penstock.document import Document, RawRecord, checked_id, fault_of_id, id_number, is_ordinary_id
from penstock.documents.writable import encode_json, fault_of
from penstock.errors import DocumentError
from penstock.events import DocumentCompleted, DocumentFailed, DocumentStarted
from penstock.events.replaced import replace_surrogates, replaced
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink
from penstock.testing.strange_documents import STRANGE_DOCUMENTS, UNWRITABLE_DOCUMENTS, spoil


class Shout(str):
    __slots__ = ()

    def isascii(self):
        return True


class Colour(str, enum.Enum):  # noqa: UP042  its str() is not its text
    RED = "r\u00e9d \ud800"


class Numbers(Source):
    """Two documents for each given one: a good one, and then the given one."""

    name = "numbers"

    def __init__(self, documents):
        self.documents = [each for n, bad in enumerate(documents) for each in (good(n), bad)]

    async def fetch(self, position):
        for start in range(position or 0, len(self.documents), 7):
            records = [RawRecord(f"r{n}", b"%d" % n) for n in range(start, len(self.documents))[:7]]
            yield Page(records, start + len(records))

    def identify(self, raw):
        return f"d{raw.data.decode()}"

    def parse(self, raw):
        return Ok(self.documents[int(raw.data)])


def good(n):
    return Document(doc_id=f"good{n}", source="numbers", content_hash=f"hash{n}")


async def run(*, steps=False, concurrency=1, documents=UNWRITABLE_DOCUMENTS):
    """Run into a sink; return the sink, the dead letters, the summary and the events."""
    source, sink, ledger, events = Numbers(documents), MemorySink(), MemoryLedger(), []
    process = []
    if steps:  # the adapter's documents are good, and a step spoils them
        spoiled = dict(zip(map("good{}".format, range(1000)), source.documents[1::2], strict=False))
        source = Numbers([spoil(good(n), doc_id=f"x{n}") for n in range(len(documents))])
        process = [lambda document: spoiled.get(document.doc_id.replace("x", "good"), document)
                   if document.doc_id.startswith("x") else document]  # fmt: skip
    retry = RetryPolicy(attempts=3, initial=0, retry_on=lambda error: True)
    pipeline = IngestionPipeline(
        Adapter(source), ledger=ledger, process=process, concurrency=concurrency, retry=retry,
        hooks=[events.extend], checkpoint_every=5,
    )  # fmt: skip
    summary = await pipeline.run(sink=sink)
    await ledger.open(summary.key)
    letters = [letter async for letter in ledger.dead_letters(summary.key)]
    return sink, letters, summary, events


@pytest.mark.parametrize("steps", [False, True], ids=["by-the-adapter", "by-a-step"])
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_an_unwritable_document_fails_and_is_never_tried_again(steps, concurrency):
    """Each spoiled document is one DocumentFailed and one dead letter; the sink has all the others."""
    sink, letters, summary, events = await run(steps=steps, concurrency=concurrency)
    count = len(UNWRITABLE_DOCUMENTS)
    assert sorted(document.doc_id for document in sink.documents) == sorted(f"good{n}" for n in range(count))
    failed = [event for event in events if isinstance(event, DocumentFailed)]
    assert {(e.error_type, e.will_retry, e.is_retryable) for e in failed} == {
        ("UnwritableDocument", False, False)
    }
    assert sorted(letter.raw for letter in letters) == sorted(event.raw for event in failed)
    assert len(failed) == count
    assert (summary.counts["started"], summary.counts["completed"], summary.counts["failed"]) == (
        2 * count, count, count,
    )  # fmt: skip
    assert sum(isinstance(event, DocumentStarted) for event in events) == 2 * count
    assert sum(isinstance(event, DocumentCompleted) for event in events) == count


async def test_without_a_sink_metadata_may_be_any_dict():
    """A consumer in Python gets a document whose metadata are not JSON; other types and bad ids still fail."""
    bad = [spoil(good(1), metadata={"value": 1j}), spoil(good(2), doc_id=""), spoil(good(3), deleted=None)]
    result = await IngestionPipeline(Adapter(Numbers(bad))).run_async()
    assert len(result.documents) == 4  # three good ones, and one of the bad
    assert [event.error_type for event in result.failures] == ["UnwritableDocument"] * 2


async def test_events_that_failed_are_dead_letters_of_into():
    """``into`` counts the events of failed documents, and gives their letters to the ledger."""
    ledger = MemoryLedger()
    result = await Adapter(Numbers(UNWRITABLE_DOCUMENTS)).into(MemorySink(), ledger=ledger)
    count = len(UNWRITABLE_DOCUMENTS)
    assert (result.documents, result.failed, len(result.failures)) == (count, count, 10)
    await ledger.open("default")
    assert await ledger.count_dead_letters("default") == count


def test_strange_documents_are_writable_and_unwritable_ones_say_why():
    """``fault_of`` is empty for each strange document, and half a sentence for each unwritable one."""
    assert [fault_of(document) for document in STRANGE_DOCUMENTS] == [""] * len(STRANGE_DOCUMENTS)
    assert all(fault_of(document).startswith("it") for document in UNWRITABLE_DOCUMENTS)
    assert fault_of(Document.model_construct(doc_id="d")) == "it has no source"


def test_without_json_only_the_metadata_may_hold_a_fault():
    """``json=False`` finds each fault but those inside the metadata, and says the same of it."""
    found = [(document, fault_of(document, json=False)) for document in UNWRITABLE_DOCUMENTS]
    assert all(fault == fault_of(document) for document, fault in found if fault)
    assert all(
        isinstance(document.metadata, dict) and document.metadata for document, fault in found if not fault
    )
    assert not any(fault_of(document, json=False) for document in STRANGE_DOCUMENTS)


def test_an_id_that_is_ordinary_at_first_sight_has_no_fault():
    """Whatever character it begins with, ends with or contains."""
    texts = [text for c in map(chr, range(0x3000)) for text in (c, f"a{c}", f"{c}a", f"a{c}a")]
    ordinary = [text for text in [*texts, "a" * 1000, "a" * 1001, ""] if is_ordinary_id(text)]
    assert len(ordinary) > 4 * 90
    assert not any(map(fault_of_id, ordinary))


# The rows of the table in docs/ingestion.md.
NUMBERS = {
    "1": "1", " 12\n": "12", "007": "7", "9" * 18: "9" * 18,
    "": None, "0": None, "000": None, "-1": None, "+1": None, "1.0": None, "1e3": None, "1/2": None,
    "1 2": None, "\u0661": None, "\u00b2": None, "9" * 19: None, "x": None,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_in_an_id_has_one_form(text):
    """Blanks around a number and leading zeros are removed; what is no number from 1 on is refused."""
    if NUMBERS[text] is None:
        with pytest.raises(DocumentError, match="PMID is not a number"):
            id_number(text, "its PMID")
    else:
        assert id_number(text, "its PMID") == NUMBERS[text]
        assert math.isfinite(int(text))


@pytest.mark.parametrize(
    ("doc_id", "valid"),
    [("PMID:1.1", True), ("10.1000/a b", True), ("\u00e9", True), ("a" * 1000, True), ("a" * 1001, False),
     ("\u00e9" * 501, False), ("", False), (" a", False), ("a\u3000", False), ("a\nb", False), ("a\0", False),
     ("\x85", False), ("a\u2028b", False), ("\ud800", False), ("\uffff", False), (7, False), (None, False)],
)  # fmt: skip
def test_which_texts_are_ids(doc_id, valid):
    """An id of any adapter is 1 to 1,000 bytes of text without blanks at its ends and without controls."""
    if valid:
        assert checked_id(doc_id) == doc_id
    else:
        with pytest.raises(DocumentError, match="cannot be identified"):
            checked_id(doc_id)


@pytest.mark.parametrize("doc_id", ["", " d", "d\n", None, 7])
async def test_an_adapter_that_returns_no_valid_id(doc_id):
    """``identify`` of any adapter is checked: its document fails under the key of its record."""

    class Wrong(Numbers):
        def identify(self, raw):
            return doc_id if raw.data == b"1" else super().identify(raw)

    sink, ledger = MemorySink(), MemoryLedger()
    summary = await IngestionPipeline(Adapter(Wrong([good(9)])), ledger=ledger).run(sink=sink)
    assert (summary.counts["completed"], summary.counts["failed"]) == (1, 1)
    await ledger.open(summary.key)
    [letter] = [letter async for letter in ledger.dead_letters(summary.key)]
    assert letter.key == letter.doc_id == "r1"
    assert "cannot be identified" in letter.error


def test_halves_of_surrogate_pairs_are_replaced_in_one_way():
    """In sinks and in events, in values and in keys, a subclass of ``str`` counts by its characters."""
    texts = {"": "", "plain": "plain", "\u00e9": "\u00e9", "a\ud800b": "a\ufffdb", "\udfff": "\ufffd"}
    for text, wanted in {**texts, "\U0001f600": "\U0001f600"}.items():
        for kind in (str, Shout):
            came = replace_surrogates(kind(text))
            assert (came, type(came)) == (wanted, str)
            value = {"half": "\ud800", kind(text): [kind(text)]}
            assert json.loads(encode_json(value)) == replaced(value) == {"half": "\ufffd", wanted: [wanted]}
    assert json.loads(encode_json([Colour.RED])) == replaced([Colour.RED]) == ["r\u00e9d \ufffd"]
    assert json.loads(encode_json({Colour.RED: 1})) == replaced({Colour.RED: 1}) == {"r\u00e9d \ufffd": 1}
