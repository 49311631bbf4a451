"""``penstock doctor``: checks library versions, limits, and whether a folder keeps what is written to it."""

from __future__ import annotations

import contextlib
import json
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

import penstock
from penstock.cli.exits import ALL_COMPLETED, UNUSABLE
from penstock.cli.options import Debug, Json
from penstock.cli.text import clean, count, folded, put, size
from penstock.errors import PenstockError, install_command
from penstock.system import DiskStorage, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
"""The WAL-reset bug of SQLite is fixed since 3.51.3, and in these older lines (sqlite.org/wal.html)."""
_EXPAT_LINEAR = (2, 6)

_IN_MEMORY = {"tmpfs", "ramfs"}
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"}
_LITTLE_SPACE = 1_000_000_000
_FEW_FILES = 256
_FSYNCS = 20
_PAGE = bytes(4096)
_TOO_FAST = 20e-6
"""Seconds; no device that keeps its bytes completes an fsync faster."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: ``ok``, a ``note``, or ``BAD`` if runs would fail."""

    level: str
    words: str


def examine(
    folder: Path = Path(),
    /,
    *,
    as_json: Json = False,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Print the findings and return the exit code: 0, or 2 if runs would fail.

    Args:
        folder: Where outputs and ledgers will go. The check writes some files there, and removes them.
    """
    found = list(findings(folder))
    bad = any(finding.level == BAD for finding in found)
    if as_json:
        put(sys.stdout, *(json.dumps({"level": one.level.lower(), "words": one.words}) for one in found))
        return UNUSABLE if bad else ALL_COMPLETED
    lines = [f"{finding.level:<5} {clean(finding.words)}" for finding in found]
    end = "runs would fail, see BAD above" if bad else "runs can start"
    lines += ["", f"{end}; checked folder: {clean(str(folder.absolute()))}"]
    put(sys.stdout, *folded(sys.stdout, lines, hang=6))
    return UNUSABLE if bad else ALL_COMPLETED


def findings(folder: Path) -> Iterator[Finding]:
    """Check versions, limits, and the folder."""
    yield Finding(OK, f"penstock {penstock.__version__}, Python {platform.python_version()}, {sys.platform}")
    yield sqlite_implies(sqlite3.sqlite_version_info)
    yield from _parsers()
    yield from _extras()
    yield from _limits()
    yield from _folder(folder)


def sqlite_implies(number: tuple[int, ...]) -> Finding:
    """Check a version of SQLite for a bug that damages ledgers and outputs."""
    name = f"SQLite {'.'.join(map(str, number))}"
    if number >= _FIXED_SINCE or any(first <= number < behind for first, behind in _FIXED_IN):
        return Finding(OK, name)
    return Finding(
        NOTE,
        f"{name}: before 3.51.3, two connections that write to one file at the same instant can damage it "
        "(the WAL-reset bug). Penstock writes with one connection and locks the file against other runs. "
        "Let no other program write to a ledger or to an output in SQLite",
    )


def expat_implies(name: str) -> Finding:
    """Check a version of expat (``expat_2.5.0``) for a slow case."""
    number = tuple(int(part) for part in name.partition("_")[2].split(".") if part.isdigit())
    shown = name.replace("_", " ")
    if number >= _EXPAT_LINEAR:
        return Finding(OK, shown)
    return Finding(
        NOTE,
        f"{shown}: before 2.6.0, one huge tag or text takes quadratic time. Penstock uses it only for "
        "declarations of entities. Your own steps that use xml.etree or xml.sax should limit what they read",
    )


def _parsers() -> Iterator[Finding]:
    from pyexpat import EXPAT_VERSION

    from lxml import etree

    lxml = ".".join(map(str, etree.LXML_VERSION[:3]))
    libxml2 = ".".join(map(str, etree.LIBXML_VERSION))
    yield Finding(
        OK, f"lxml {lxml} with libxml2 {libxml2}; entities of other files are not read, nothing is fetched"
    )
    yield expat_implies(EXPAT_VERSION)


def _extras() -> Iterator[Finding]:
    for extra, (library, purpose) in _EXTRAS.items():
        try:
            yield Finding(OK, f"{library} {version(library)}")
        except PackageNotFoundError:
            yield Finding(NOTE, f"no {library} ({purpose}): {install_command(extra)}")


def _limits() -> Iterator[Finding]:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if largest == resource.RLIM_INFINITY:
        yield Finding(OK, "files may grow to any size")
    else:
        yield Finding(NOTE, f"no file may grow beyond {size(largest)}; ulimit -f raises the limit")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < _FEW_FILES:
        yield Finding(NOTE, f"only {count(files)} files may be open at once; ulimit -n raises the limit")


def _folder(folder: Path) -> Iterator[Finding]:
    """Write into the folder as sinks and ledgers do, then remove what was written."""
    if not folder.is_dir():
        yield Finding(BAD, f"{folder} is not a folder; create it, or name another")
        return
    try:
        place = Path(tempfile.mkdtemp(prefix=".penstock-doctor-", dir=folder))
    except OSError as error:
        yield Finding(BAD, f"{folder} is not writable: {reason(error)}")
        return
    try:
        yield _free_space(folder)
        yield from _file_system(folder)
        yield _tried("a lock keeps a second process out", lambda: _lock(place))
        yield _tried(
            "files can be written, fsynced and renamed, and the folder fsynced", lambda: _write(place)
        )
        yield from _fsync(place)
        yield _tried("ledgers: write-ahead log, synchronous=FULL, one connection", lambda: _ledger(place))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _tried(words: str, attempt: Callable[[], object]) -> Finding:
    """Return that ``attempt`` works, or why it does not."""
    try:
        attempt()
    except PenstockError as error:
        return Finding(BAD, f"{words}: failed; {error}")
    except OSError as error:
        return Finding(BAD, f"{words}: failed; {reason(error)}")
    return Finding(OK, words)


def _free_space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    level = NOTE if free < _LITTLE_SPACE else OK
    return Finding(level, f"{size(free)} of disk space are free")


def _file_system(folder: Path) -> Iterator[Finding]:
    kind = file_system(folder)
    if kind in _IN_MEMORY:
        yield Finding(NOTE, f"{kind} is memory: files here are gone when the machine is switched off")
    elif kind in _REMOTE:
        yield Finding(
            NOTE, f"{kind} is a network file system: its server decides whether locks and fsync work"
        )


def file_system(folder: Path) -> str:
    """Return the type of the file system of ``folder``; an empty string except on Linux."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    device = os.stat(folder).st_dev  # noqa: PTH116  only the number is needed
    wanted = f"{os.major(device)}:{os.minor(device)}"
    kinds = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == wanted]
    return kinds[-1] if kinds else ""


def _lock(place: Path) -> None:
    lock = DiskStorage().lock(place / "locked")
    if (holder := lock.acquire()) is not None:
        raise PenstockError(f"a new file is already locked by {holder}")
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
            raise PenstockError("the file reads back different bytes")


def _fsync(place: Path) -> Iterator[Finding]:
    """Measure an fsync, and detect one that does nothing."""
    if "eatmydata" in os.environ.get("LD_PRELOAD", ""):
        yield Finding(BAD, "libeatmydata is loaded: fsync does nothing, and a power cut loses commits")
        return
    try:
        seconds = fsync_seconds(place / "timed")
    except OSError as error:
        yield Finding(BAD, f"fsync fails: {reason(error)}")
        return
    words = f"an fsync takes {seconds * 1000:.2f} ms"
    if seconds < _TOO_FAST:
        words += ", faster than any disk: it seems to do nothing, and a power cut may lose commits"
    yield Finding(NOTE if seconds < _TOO_FAST else OK, words)


def fsync_seconds(path: Path) -> float:
    """Return the median time of an fsync of one page."""
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
    connection, _ = connect(path, lock)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
    finally:
        connection.close()
        lock.release()
    if (mode, level) != ("wal", 2):
        raise PenstockError(f"journal_mode={mode}, synchronous={level}")
