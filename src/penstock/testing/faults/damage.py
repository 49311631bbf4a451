"""Bits that flip and ends that are cut off: is it noticed?"""

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

__all__ = ["DamageUnnoticed", "Damages", "damage_and_read", "damaged"]

T = TypeVar("T")

_STRETCHES = (1, 16, 4096)
_KINDS = ("flip", "flip", "flip", "zero", "cut")


class DamageUnnoticed(AssertionError):
    """Damaged data was read as something that was never written; the seed in the message shows it again."""


@dataclass(frozen=True, slots=True)
class Damages:
    """What became of the damages: refused in words, or read right although damaged."""

    refused: int
    right: int


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one bit flipped, a stretch zeroed, or its end cut off; it must not be empty."""
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
    """Damage one file of a copy of ``folder``, read it, and again, and count what became of it.

    Args:
        folder: What is copied each time: a ledger with its log, say.
        name: The file that is damaged.
        read: Reads the copy's file of that name, and returns what a resumed run would be told.
        right: Whether what was read is what was written once: never a fresh start.
        times: How often.
        seed: Of the first damage; the next one has the next seed.
        refusals: The errors that count as refused, if their message names the file.

    Raises:
        DamageUnnoticed: something else was read, or a refusal does not name the file.
        Exception: whatever else ``read`` raises.
    """
    refused = 0
    for number in range(seed, seed + times):
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / folder.name
            shutil.copytree(folder, copy)
            file = copy / name
            file.write_bytes(damaged(file.read_bytes(), random.Random(number)))  # noqa: S311  seeded
            try:
                told = await read(file)
            except refusals as error:
                if str(copy) not in str(error):
                    raise DamageUnnoticed(
                        f"seed {number}: refused without naming the file: {error}"
                    ) from error
                refused += 1
                continue
            if not right(told):
                raise DamageUnnoticed(f"seed {number}: {name} was damaged, and read as {told!r}")
    return Damages(refused, times - refused)
