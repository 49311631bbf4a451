"""Records that have killed the processes that parsed them, as the ledger knows them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.abc.delivery import DEADLY
from penstock.document import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.abc import Ledger
    from penstock.document import RawRecord


@dataclass(slots=True)
class Deadly:
    """The keys and the content hashes of such records. False if there are none."""

    keys: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, int] = field(default_factory=dict)
    """Both say how many processes each has killed."""

    def __bool__(self) -> bool:
        return bool(self.keys)

    def mark(self, records: Iterable[RawRecord]) -> None:
        """Note in the context of such records that they kill."""
        for raw in records:
            deaths = self.keys.get(raw.key) or self.hashes.get(content_hash(raw.data))
            if deaths:
                raw.context = {**raw.context, DEADLY: deaths}


async def deadly_records(ledger: Ledger, key: str) -> Deadly:
    """Return the records of the dead letters of ``key`` that kill."""
    found = Deadly()
    with suppress(NotImplementedError):  # a ledger that stores no dead letters
        if await ledger.count_dead_letters(key):
            async for letter in ledger.deadly_letters(key):
                deaths = letter.context[DEADLY]
                found.keys[letter.key] = found.hashes[content_hash(letter.raw)] = deaths
    return found
