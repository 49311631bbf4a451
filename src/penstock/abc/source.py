"""Where documents come from: pages of records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

if TYPE_CHECKING:
    from expression import Result

    from penstock.abc.runs import JSON
    from penstock.document import Document, RawRecord
    from penstock.errors import DocumentError


T = TypeVar("T")


@dataclass(slots=True)
class Page(Generic[T]):
    """Items that travel together, and the position after them.

    ``position`` is the source's own JSON: the next unread page. With ``None`` Penstock counts items instead.
    ``estimated_total`` is how many items the whole source may have; ``promised`` is the number that the
    source itself states.
    """

    items: list[T]
    position: JSON = None
    estimated_total: int | None = None
    promised: int | None = None


class Source(ABC):
    """Where documents come from. An adapter consists of these four methods."""

    name: ClassVar[str]
    schema: ClassVar[type | None] = None
    """A class whose annotations are the typed columns of the documents; see ``penstock.columns``."""
    checked: ClassVar[bool] = False
    """Whether every sink can write what ``parse`` returns, under the id of ``identify``; see ``checked_id``.

    If not, Penstock checks each document, which takes about 10 µs if a sink follows and 1 µs otherwise. A
    subclass does not inherit it."""

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r}>" if hasattr(self, "name") else f"<{type(self).__name__}>"
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The query of this source, as JSON, for ``DocumentStarted``. Contains no secrets."""
        return {}

    def inputs(self) -> list[str]:
        """Return what would be read, in order, for ``explain``; may look at the disk. By default unknown."""
        return []

    def check(self) -> None:
        """Raise ``SourceError`` if an input is certainly missing; called before an output is opened."""
        return

    @abstractmethod
    def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records, from the beginning (``None``) or from the position of an earlier page.

        Runs in a task of its own, and only while there is demand. Raises ``SourceError`` if the source cannot
        be read. A bad record is no error here.
        """

    @abstractmethod
    def identify(self, raw: RawRecord) -> str:
        """Return the ``doc_id`` without parsing the whole record; raise ``DocumentError`` if it has none."""

    def glance(self, raw: RawRecord) -> str | None:  # noqa: ARG002  for those that override it
        """Return the ``doc_id`` if a look at the bytes finds it, without a parser; by default ``None``.

        Asked only of a record that killed the processes that parsed it, to name it among the dead letters.
        """
        return None

    @abstractmethod
    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Parse the record. Return bad input as an ``Error``; do not raise."""

    def validate(self, document: Document) -> Result[Document, DocumentError]:
        """Accept, correct or refuse a parsed document. The default accepts it."""
        from expression import Ok

        return Ok(document)
