"""Ids of documents that a run has taken with another content than earlier runs.

A source may hold several records of one document: a baseline and its updates, a record and its deletion. A
record is unchanged if earlier runs ended with its content. If the run has taken an older content of the same
document before it, the unchanged record must be taken too: it is the newest.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BITS = 1 << 25
_HASHES = 3


class RevisedIds:
    """A set of ids in constant memory (0 while empty, then 4 MiB): a Bloom filter.

    It may wrongly report an id as a member, and then a document is written once more. The rate is one in a
    million with 100,000 members, and one in twenty with 5,000,000. The answers depend on the members and not
    on their order, so a resumed run skips the same records as an undisturbed one.
    """

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits: bytearray | None = None

    def __bool__(self) -> bool:
        return self._bits is not None

    def update(self, doc_ids: Iterable[str]) -> None:
        """Add ids."""
        for doc_id in doc_ids:
            self.add(doc_id)

    def add(self, doc_id: str) -> None:
        """Add an id."""
        bits = self._bits
        if bits is None:
            bits = self._bits = bytearray(_BITS // 8)
        for place in _places(doc_id):
            bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, doc_id: str) -> bool:
        bits = self._bits
        return bits is not None and all(bits[place >> 3] >> (place & 7) & 1 for place in _places(doc_id))


def _places(doc_id: str) -> Iterator[int]:
    digest = blake2b(doc_id.encode("utf-8", "surrogatepass"), digest_size=4 * _HASHES).digest()
    return (int.from_bytes(digest[4 * k : 4 * k + 4], "big") % _BITS for k in range(_HASHES))
