"""Documents as JSON Lines.

One document is one line of UTF-8 that ends in a line feed. Its fields are in the order of ``Document``.
Control characters below U+0020 are escaped, so no text breaks a line. The same documents always become the
same bytes. A number that is not finite becomes ``null``. A lone surrogate becomes U+FFFD: UTF-8 cannot hold
it, and strict readers refuse it even when escaped.

msgspec on plain dicts takes 8 µs for a document of 4.5 KB, ``model_dump_json`` 21 and ``json.dumps`` 56.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec

from penstock.documents.encoded import encoded_as
from penstock.documents.writable import encode_json, map_texts, plain_model
from penstock.errors import SinkError
from penstock.events.replaced import replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.document import Document
    from penstock.sinks.layout import Layout, Values

__all__ = [
    "LineForm",
    "encode_lines",
    "encode_rows",
    "json_of",
    "json_texts",
    "map_texts",
    "replace_surrogates",
]


class LineForm:
    """How one output writes documents as lines: whole, or only the chosen columns of ``layout``.

    With chosen columns a line is one flat object: a key a column, in their order, ``null`` without a value.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        whole = partial(encode_line, include_raw=layout.include_raw)
        self.encoder: Callable[[Document], bytes] | None = whole if layout.chosen is None else None
        """See ``Sink.encoder``; only whole documents can be encoded in another process."""

    @property
    def beginning(self) -> bytes:
        """The bytes with which every line begins."""
        return b'{"%s":' % next((column.name for column in self.layout.columns), "doc_id").encode()

    @property
    def shape(self) -> str:
        """What the lines hold: empty for whole documents without their raw bytes."""
        layout = self.layout
        if layout.chosen is None:
            return "raw" if layout.include_raw else ""
        return ",".join(f"{column.name} {column.type}" for column in layout.columns)

    def lines(self, documents: Sequence[Document]) -> bytes:
        """Return the lines; other processes may have encoded some of them. Raises as ``encode_lines``."""
        form = self.encoder
        if form is None:
            return encode_rows(self._rows(documents), documents)
        found = [encoded_as(document, form) for document in documents]
        if None not in found:
            return b"".join(cast("list[bytes]", found))
        if not any(found):
            return encode_lines(documents, include_raw=self.layout.include_raw)
        return b"".join(
            form(document) if line is None else line for document, line in zip(documents, found, strict=True)
        )

    def _rows(self, documents: Sequence[Document]) -> list[Values]:
        names = [column.name for column in self.layout.columns]
        return [{name: row.get(name) for name in names} for row in self.layout.exact_rows(documents)]


def encode_lines(documents: Sequence[Document], *, include_raw: bool = False) -> bytes:
    """Return ``documents`` as lines; ``include_raw`` adds the raw bytes, in base64.

    Raises:
        SinkError: a document holds a value that is not JSON; the message names the document.
    """
    rows = [_fields(document, include_raw) for document in documents]
    try:
        return _ENCODER.encode_lines(rows)
    except (TypeError, ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return b"".join(_encode(row, row["doc_id"], "document") + b"\n" for row in rows)


def encode_line(document: Document, *, include_raw: bool = False) -> bytes:
    """Return one document as a line; see ``encode_lines``."""
    return encode_lines((document,), include_raw=include_raw)


def encode_rows(rows: Sequence[dict[str, Any]], documents: Sequence[Document]) -> bytes:
    """Return ``rows``, which hold values of ``documents``, as lines of JSON.

    Raises:
        SinkError: a value is not JSON; the message names the document.
    """
    try:
        return _ENCODER.encode_lines(rows)
    except (TypeError, ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        pairs = zip(rows, documents, strict=True)
        return b"".join(_encode(row, document.doc_id, "document") + b"\n" for row, document in pairs)


def json_of(value: Any, document: Document) -> str:
    """Return a value of ``document`` as JSON text.

    Raises:
        SinkError: it is not JSON; the message names the document.
    """
    return _encode(value, document.doc_id, "metadata of the document").decode()


def json_texts(values: Sequence[Any], documents: Sequence[Document]) -> list[str]:
    """Return values, one of each document, as JSON texts.

    Raises:
        SinkError: a value is not JSON; the message names the document.
    """
    try:
        *texts, _ = _ENCODER.encode_lines(values).decode().split("\n")
        if len(texts) == len(values):
            return texts
    except (TypeError, ValueError, RecursionError):
        pass
    return [json_of(value, document) for value, document in zip(values, documents, strict=True)]


def _encode(value: Any, doc_id: str, what: str) -> bytes:
    try:
        return encode_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise SinkError(
            f"the {what} {doc_id!r} cannot be written as JSON ({error}); "
            "make the adapter, or the step that changed the document, use JSON values only"
        ) from error


def _fields(document: Document, include_raw: bool) -> dict[str, Any]:  # noqa: FBT001 - private, and hot
    # The attributes themselves, in the order of their declaration; model_dump would copy all metadata.
    fields = document.__dict__.copy()
    if not include_raw:
        del fields["raw"]
    return fields


_ENCODER = msgspec.json.Encoder(enc_hook=plain_model)
