"""Documents that another process has encoded for the sink: nothing is decoded unless somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable

_KNOWN = frozenset({"doc_id", "content_hash", "deleted", "__class__"})


class EncodedDocument(Document):
    """A document of which only ``doc_id``, ``content_hash``, ``deleted`` and the sink's bytes are here.

    The first access to anything else restores it: from then on it is an ordinary `Document`.
    """

    def __getattribute__(self, name: str) -> Any:
        if name not in _KNOWN:
            _restore(self)
        return object.__getattribute__(self, name)


def encoded_document(
    doc_id: str,
    content_hash: str,
    deleted: bool,  # noqa: FBT001 - hot
    data: bytes,
    form: object,
    restore: Callable[[], Document],
) -> Document:
    """Return a document that ``form`` has encoded as ``data``; ``restore`` returns the whole document."""
    document = EncodedDocument.__new__(EncodedDocument)
    fields = {
        "doc_id": doc_id, "content_hash": content_hash, "deleted": deleted,
        "encoded": (form, data), "restore": restore,
    }  # fmt: skip
    object.__setattr__(document, "__dict__", fields)
    return document


def encoded_as(document: Document, form: object) -> bytes | None:
    """Return the bytes of ``document`` if ``form`` has encoded it, and nobody has changed it since."""
    if type(document) is not EncodedDocument:
        return None
    made_by, data = object.__getattribute__(document, "__dict__")["encoded"]
    return data if made_by is form else None


def _restore(document: EncodedDocument) -> None:
    whole: Document = object.__getattribute__(document, "__dict__")["restore"]()
    keep = object.__setattr__
    keep(document, "__class__", Document)
    keep(document, "__dict__", dict(whole.__dict__))
    for name in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        keep(document, name, getattr(whole, name))


def _restoring(name: str) -> Callable[..., Any]:
    """Return a special method, which Python looks up in the class: it restores, then calls the usual one."""

    def method(self: EncodedDocument, *args: Any, **kwargs: Any) -> Any:
        _restore(self)
        return getattr(self, name)(*args, **kwargs)

    return method


for _name in (
    "__eq__", "__repr__", "__str__", "__iter__", "__copy__", "__deepcopy__", "__reduce_ex__", "__setattr__",
    "__delattr__", "__rich_repr__", "__pretty__", "__replace__", "__repr_args__",
):  # fmt: skip
    if hasattr(Document, _name):
        setattr(EncodedDocument, _name, _restoring(_name))
