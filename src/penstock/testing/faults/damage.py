"""``damage_and_read`` damages files, and checks that their reader notices."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from penstock.errors import LedgerError, SinkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_STRETCHES = (1, 16, 4096)
_KINDS = ("flip", "flip", "flip", "zero", "cut")


class DamageUnnoticed(AssertionError):
    """Damaged data was read as data that was never written; the seed in the message shows it again."""


@dataclass(frozen=True, slots=True)
class Damages:
    """How many damages were refused with an error, and how many were read right all the same."""

    refused: int
    right: int


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one bit flipped, a stretch zeroed, or truncated; ``data`` must not be empty."""
    broken = bytearray(data)
    at = rng.randrange(len(broken))
    how = rng.choice(_KINDS)
    if how == "flip":
        broken[at] ^= 1 << rng.randrange(8)
    elif how == "zero":
        stretch = slice(at, at + rng.choice(_STRETCHES))
        broken[stretch] = bytes(len(broken[stretch]))
    else:
        del broken[at:]
    return bytes(broken)


async def damage_and_read(
    folder: Path,
    name: str,
    read: Callable[[Path], Awaitable[T]],
    right: Callable[[T], bool],
    *,
    times: int = 500,
    seed: int = 0,
    refusals: tuple[type[Exception], ...] = (LedgerError, SinkError),
) -> Damages:
    """Damage one file in a copy of ``folder`` and read it, ``times`` times; count the results.

    Args:
        folder: The folder to copy each time, for example a ledger with its log.
        name: The file to damage.
        read: Reads the damaged file; returns what a resumed run would read.
        right: Whether the result of ``read`` was once written. A fresh start is never right.
        times: How many damages to try.
        seed: The seed of the first damage; each further one adds 1.
        refusals: The errors that count as refused, if their message names the file.

    Raises:
        DamageUnnoticed: a result was not right, or a refusal does not name the file.
        Exception: ``read`` raised another error.
    """
    refused = 0
    for number in range(seed, seed + times):
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / folder.name
            shutil.copytree(folder, copy)
            file = copy / name
            file.write_bytes(damaged(file.read_bytes(), random.Random(number)))  # noqa: S311  seeded
            try:
                came = await read(file)
            except refusals as error:
                if str(copy) not in str(error):
                    text = f"seed {number}: the error should name the file {copy}; it says: {error}"
                    raise DamageUnnoticed(text) from error
                refused += 1
                continue
            if not right(came):
                text = (
                    f"seed {number}: {name} was damaged, and read as {came!r}; check its content when reading"
                )
                raise DamageUnnoticed(text)
    return Damages(refused, times - refused)
