"""Which documents a run has taken with another content than earlier runs did.

A source may give one document several times: a baseline and its updates, a record and its deletion. Skipping
what is unchanged has to know of it, for "unchanged" is said of what earlier runs ended with: behind an older
content that this run has just taken, the newest has to be taken again, too.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Revised"]

_BITS = 1 << 25
_HASHES = 3


class Revised:
    """A set of ids in constant memory (4 MiB once there is one): a Bloom filter.

    It may take an id for a member that is none, which costs a document written once more: one in a million
    with 100,000 members, one in twenty with 5,000,000. What it says depends on its members alone, not on
    their order, so that a run that is resumed skips just what an undisturbed one skips.
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
