"""Find damage in the write-ahead log that a killed process left behind.

SQLite replays the log up to the first frame whose checksum fails. It takes the frames after that for a write
that was cut short. So damage in the middle would silently return the ledger to an earlier commit. With
``synchronous=FULL`` only the last transaction can have been cut short: if two commits follow a broken frame,
the frame was damaged after it was written.

The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = 32
_FRAME = 24
_MAGIC = 0x377F0682  # with the lowest bit set, checksums read big-endian words
_MASK = 0xFFFFFFFF
_PAGE_SIZES = frozenset(1 << n for n in range(9, 17))

_Sums = tuple[int, int]


def find_damage(path: Path) -> str | None:
    """Return what is wrong with the log at ``path``, or ``None`` if it is whole, empty or absent.

    Reads the log once, 20 MB a second; only the merge of a long run makes a log larger than that.
    """
    try:
        with path.open("rb") as file:
            return _find_damage(file)
    except FileNotFoundError:
        return None


def _find_damage(file: BinaryIO) -> str | None:
    header = file.read(_HEADER)
    if len(header) < _HEADER:
        return None
    magic, _, page, _ = struct.unpack(">4I", header[:16])
    salts, sums = header[16:24], struct.unpack(">2I", header[24:])
    big = bool(magic & 1)
    chain = _add(header[:24], (0, 0), big=big)
    if magic & ~1 != _MAGIC or page not in _PAGE_SIZES or chain != sums:
        return "the header of its write-ahead log is broken" if file.read(_FRAME) else None
    return _find_broken_frame(file, page, salts, chain, big=big)


def _find_broken_frame(file: BinaryIO, page: int, salts: bytes, chain: _Sums, *, big: bool) -> str | None:
    broken: int | None = None
    commits = number = 0
    while len(frame := file.read(_FRAME + page)) == _FRAME + page:
        number += 1
        if broken is None:
            chain = _add(frame[_FRAME:], _add(frame[:8], chain, big=big), big=big)
            if frame[8:16] != salts or chain != struct.unpack(">2I", frame[16:24]):
                broken = number
        if broken is not None and frame[8:16] == salts:
            commits += frame[4:8] != b"\0\0\0\0"
    if commits > 1:
        return f"frame {broken} of its write-ahead log is broken, and {commits} commits follow it"
    return None


def _add(data: bytes, sums: _Sums, *, big: bool) -> _Sums:
    words = array("I", data)
    if big != (sys.byteorder == "big"):
        words.byteswap()
    first, second = sums
    for n in range(0, len(words), 2):
        first = (first + words[n] + second) & _MASK
        second = (second + words[n + 1] + first) & _MASK
    return first, second
