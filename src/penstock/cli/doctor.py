"""``penstock doctor``: whether this machine keeps what it is given, and what its versions imply."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import ALL_COMPLETED, UNUSABLE
from penstock.cli.text import clean, count, put, size
from penstock.errors import PenstockError
from penstock.system import DiskStorage, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Finding", "examine", "expat_implies", "findings", "sqlite_implies"]

OK: Final = "ok"
NOTE: Final = "note"
BAD: Final = "BAD"

_EXTRAS = {
    "gzip": ("isal", "gzip files are read two to three times slower without it"),
    "zstd": ("zstandard", "for outputs named *.jsonl.zst"),
    "parquet": ("pyarrow", "for outputs named *.parquet"),
    "duckdb": ("duckdb", "for outputs named duckdb:///..."),
    "postgres": ("psycopg", "for outputs named postgresql://..."),
}
_FIXED_SINCE = (3, 51, 3)
_FIXED_IN = (((3, 50, 7), (3, 51)), ((3, 44, 6), (3, 45)))
"""The WAL-reset bug of SQLite is gone from 3.51.3 on, and in these older lines (sqlite.org/wal.html)."""
_EXPAT_LINEAR = (2, 6)

_IN_MEMORY = {"tmpfs", "ramfs"}
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"}
_LITTLE_ROOM = 1_000_000_000
_FEW_FILES = 256
_FSYNCS = 20
_PAGE = bytes(4096)
_TOO_FAST = 20e-6
"""Seconds; no device that keeps its bytes has answered an fsync in less."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``ok``, a ``note`` to think about, or ``BAD`` where runs would fail."""

    level: str
    words: str


def examine(folder: Path) -> int:
    """Print what is found, and return the exit code: 0, or 2 if something stands in the way of a run."""
    found = list(findings(folder))
    bad = sum(finding.level == BAD for finding in found)
    lines = [f"{finding.level:<5} {clean(finding.words)}" for finding in found]
    end = "nothing stands in the way of a run" if not bad else f"{bad} of these would make runs fail"
    put(sys.stdout, *lines, "", f"{end}; outputs and ledgers in {clean(str(folder.absolute()))}")
    return UNUSABLE if bad else ALL_COMPLETED


def findings(folder: Path) -> Iterator[Finding]:
    """Look at versions, limits, and the folder."""
    yield Finding(OK, f"penstock {version('penstock')}, Python {platform.python_version()}, {sys.platform}")
    yield sqlite_implies(sqlite3.sqlite_version_info)
    yield from _parsers()
    yield from _extras()
    yield from _limits()
    yield from _folder(folder)


# -- versions


def sqlite_implies(number: tuple[int, ...]) -> Finding:
    """Say what a version of SQLite implies for ledgers and for outputs in SQLite."""
    name = f"SQLite {'.'.join(map(str, number))}"
    if number >= _FIXED_SINCE or any(first <= number < behind for first, behind in _FIXED_IN):
        return Finding(OK, name)
    return Finding(
        NOTE,
        f"{name}: before 3.51.3, two connections that write to one file at the same instant can damage it "
        "(the WAL-reset bug). Penstock writes with one connection, and its lock keeps others of Penstock "
        "out: let no other program write to a ledger or to an output in SQLite",
    )


def expat_implies(name: str) -> Finding:
    """Say what a version of expat (``expat_2.5.0``) implies."""
    number = tuple(int(part) for part in name.partition("_")[2].split(".") if part.isdigit())
    told = name.replace("_", " ")
    if number >= _EXPAT_LINEAR:
        return Finding(OK, told)
    return Finding(
        NOTE,
        f"{told}: before 2.6.0, one huge tag or text takes quadratic time. Penstock's adapters do not read "
        "with it; steps of yours that use xml.etree or xml.sax should limit what they read",
    )


def _parsers() -> Iterator[Finding]:
    from pyexpat import EXPAT_VERSION

    from lxml import etree

    lxml = ".".join(map(str, etree.LXML_VERSION[:3]))
    libxml2 = ".".join(map(str, etree.LIBXML_VERSION))
    yield Finding(OK, f"lxml {lxml} with libxml2 {libxml2}; entities are not expanded, nothing is fetched")
    yield expat_implies(EXPAT_VERSION)


def _extras() -> Iterator[Finding]:
    for extra, (library, purpose) in _EXTRAS.items():
        try:
            yield Finding(OK, f"{library} {version(library)}")
        except PackageNotFoundError:
            yield Finding(NOTE, f"no {library} ({purpose}): pip install 'penstock[{extra}]'")


# -- limits


def _limits() -> Iterator[Finding]:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest == resource.RLIM_INFINITY:
        yield Finding(OK, "files may grow to any size")
    else:
        yield Finding(
            NOTE,
            f"no file may grow beyond {size(largest)}, outputs and ledgers included; ulimit -f raises that",
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < _FEW_FILES:
        yield Finding(NOTE, f"only {count(files)} files may be open at once; raise that with ulimit -n")


# -- the folder


def _folder(folder: Path) -> Iterator[Finding]:
    """Write into the folder as sinks and ledgers do, and take it all away again."""
    if not folder.is_dir():
        yield Finding(BAD, f"{folder} is no folder; make it, or name another")
        return
    try:
        place = Path(tempfile.mkdtemp(prefix=".penstock-doctor-", dir=folder))
    except OSError as error:
        yield Finding(BAD, f"{folder} cannot be written to: {reason(error)}")
        return
    try:
        yield _room(folder)
        yield from _kind(folder)
        yield _tried("locks keep a second process out", lambda: _lock(place))
        yield _tried(
            "files are written, fsynced, renamed, and their folder is fsynced", lambda: _write(place)
        )
        yield from _fsync(place)
        yield _tried("ledgers: write-ahead log, synchronous=FULL, one connection", lambda: _ledger(place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tried(words: str, attempt: Callable[[], object]) -> Finding:
    """Say that something works, or why it does not."""
    try:
        attempt()
    except PenstockError as error:
        return Finding(BAD, f"{words}: no; {error}")
    except OSError as error:
        return Finding(BAD, f"{words}: no; {reason(error)}")
    return Finding(OK, words)


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    level = NOTE if free < _LITTLE_ROOM else OK
    return Finding(level, f"{size(free)} are free")


def _kind(folder: Path) -> Iterator[Finding]:
    kind = file_system(folder)
    if kind in _IN_MEMORY:
        yield Finding(
            NOTE, f"{kind} is memory: what is written here is gone when the machine is switched off"
        )
    elif kind in _REMOTE:
        yield Finding(
            NOTE, f"{kind} is a network file system, whose locks and fsync are what its server makes them"
        )


def file_system(folder: Path) -> str:
    """Return the kind of file system that ``folder`` is in, where Linux tells it; otherwise nothing."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    device = os.stat(folder).st_dev  # noqa: PTH116  the number alone is wanted
    wanted = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return kinds[-1] if kinds else ""


def _lock(place: Path) -> None:
    lock = DiskStorage().lock(place / "locked")
    if (holder := lock.acquire()) is not None:
        raise PenstockError(f"it is held by {holder}, who cannot be")
    lock.release()


def _write(place: Path) -> None:
    storage = DiskStorage()
    with contextlib.closing(storage.open(place / "draft", create=True)) as file:
        file.append(_PAGE)
        file.fsync()
    storage.rename(place / "draft", place / "file")
    storage.fsync_folder(place)
    with contextlib.closing(storage.open(place / "file", create=False)) as file:
        if file.read(0, len(_PAGE)) != _PAGE:
            raise PenstockError("what was read is not what was written")


def _fsync(place: Path) -> Iterator[Finding]:
    """Say how long an fsync takes, and whether something pretends to do it."""
    if "eatmydata" in os.environ.get("LD_PRELOAD", ""):
        yield Finding(BAD, "libeatmydata is loaded, which makes fsync do nothing; a power cut loses commits")
        return
    try:
        seconds = fsync_seconds(place / "timed")
    except OSError as error:
        yield Finding(BAD, f"fsync fails: {reason(error)}")
        return
    told = f"an fsync takes {seconds * 1000:.2f} ms"
    if seconds < _TOO_FAST:
        told += ", faster than a disk can be: it seems to do nothing, and a power cut may lose commits"
    yield Finding(NOTE if seconds < _TOO_FAST else OK, told)


def fsync_seconds(path: Path) -> float:
    """Return how long an fsync of a page takes, as the median of a few."""
    taken = []
    with contextlib.closing(DiskStorage().open(path, create=True)) as file:
        for _ in range(_FSYNCS):
            file.append(_PAGE)
            began = time.perf_counter()
            file.fsync()
            taken.append(time.perf_counter() - began)
    return sorted(taken)[_FSYNCS // 2]


def _ledger(place: Path) -> None:
    from penstock.ledger.sqlite.connection import connect

    path = place / "run.db"
    lock = DiskStorage().lock(path)
    connection = connect(path, lock)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
    finally:
        connection.close()
        lock.release()
    if (mode, level) != ("wal", 2):
        raise PenstockError(f"journal_mode={mode}, synchronous={level}")
