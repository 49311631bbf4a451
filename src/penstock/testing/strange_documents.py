"""Documents at the border of what sinks can write, for `sink_laws` and tests of whole runs."""

from __future__ import annotations

from typing import Any

from penstock.document import MAX_ID_BYTES, Document
from penstock.documents.writable import MAX_DEPTH

__all__ = ["STRANGE_DOCUMENTS", "UNWRITABLE_DOCUMENTS", "spoil"]


def _nested(levels: int) -> dict[str, Any]:
    value: Any = []
    for _ in range(levels - 2):
        value = [value]
    return {"levels": value}


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["itself"] = [circle]
    return circle


class _Named(str):
    """A text whose methods lie; only its characters count."""

    __slots__ = ()

    def isascii(self) -> bool:
        return True

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return f"{encoding} {errors}".encode()


def spoil(document: Document, **fields: Any) -> Document:
    """Return a copy of ``document`` with ``fields``, which are not checked."""
    return document.model_copy(update=fields)


_GOOD = Document(doc_id="d", source="test", title="t", content="c", metadata={"n": 1})
_STRANGE: tuple[dict[str, Any], ...] = (
    {"metadata": {"not finite": [float("nan"), float("inf"), float("-inf")]}},
    {"metadata": {"surrogate \ud800": "half \udfff"}, "title": "half \ud800", "content": "\udc00 half"},
    {"metadata": {"nul \0": "\0"}, "title": "\0", "content": "a\0b"},
    {"metadata": {"large": [2**63, 2**64, 2**70, -(2**70), 1e308, 5e-324]}},
    {"metadata": {"keys": {1: "a", "": "b", "\u2028": "c"}, "tuple": (1, 2)}},
    {"metadata": _nested(MAX_DEPTH), "version": "9" * 400},
    {"metadata": {}, "title": "", "content": "", "version": "", "record_id": ""},
    {"title": "line\nfeed\r\u2028\x85\x1b[2J", "content": "\u202e\ufeff\U0010ffff\uffff", "source": ""},
    {"doc_id": "i" * MAX_ID_BYTES, "record_id": "r" * MAX_ID_BYTES},
    {"title": _Named("a\ud800b"), "content": _Named("plain"), "metadata": {_Named("k\udfff"): [_Named("v")]}},
    {"doc_id": "a b/c%s'\"\\;--\u00e9\U0001f600", "record_id": "%(x)s {} $1 ?"},
)
STRANGE_DOCUMENTS = [
    spoil(_GOOD, **{"doc_id": f"strange{n}", "record_id": f"strange record {n}", **fields})
    for n, fields in enumerate(_STRANGE)
]
"""Documents with strange values that every sink can write."""

_TOO_LONG = "i" * (MAX_ID_BYTES + 1)
_UNWRITABLE: dict[str, tuple[Any, ...]] = {
    "doc_id": (None, "", 7, b"id", " d", "d\n", "d\0", "\ud800", _TOO_LONG),
    "record_id": (None, 7, "\t", "\udfff", _TOO_LONG),
    "source": (None,),
    "version": (None, 1),
    "title": (None,),
    "content": (None, b"bytes", ["a", "list"], 1.5),
    "content_hash": (None,),
    "deleted": (None, "yes", 1),
    "raw": ("text",),
    "metadata": (
        None, [], "text", _circle(), _nested(MAX_DEPTH + 1), _nested(5000), {(1, 2): 3},
        {"value": 1j}, {"value": object()}, {"value": {1, object()}}, {"value": len},
    ),
}  # fmt: skip
UNWRITABLE_DOCUMENTS = [
    spoil(_GOOD, **{"doc_id": "unwritable", name: value})
    for name, values in _UNWRITABLE.items()
    for value in values
]
"""Documents that no sink can write, each for another reason."""
