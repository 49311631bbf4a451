"""`XmlFilesSource`: the records of XML files, with pages and positions."""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from penstock.abc import JSON, Page, Source
from penstock.adapters.xml_files.archives import OpenTars
from penstock.adapters.xml_files.inventory import as_text, check_paths, find_files
from penstock.adapters.xml_files.reader import MEMBERS, Unpacking
from penstock.adapters.xml_files.reading import LocalReading, Reading
from penstock.adapters.xml_files.splitter import MAX_RECORD_BYTES
from penstock.adapters.xml_files.walk import Walk, states_of
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.adapters.xml_files.inventory import InputFile
    from penstock.adapters.xml_files.records import Format
    from penstock.document import RawRecord


OnBadFile = Literal["stop", "skip"]
"""What to do about a file that cannot be read."""


class XmlFilesSource(Source):
    """Reads the records of XML files, gzipped or not, one file after the other.

    No file is opened before the first page is requested. Files are read only on demand, and outside of the
    event loop. Memory holds one page per open file and the bytes that were read with it.

    The bytes of a record are those of the file, in UTF-8. If the record uses entities that the file declares,
    a document type with their declarations comes first: a parser that expands internal entities reads it.

    A position is ``{"files": {name: {"fingerprint", "place", "index", "done"}}, "next": name,
    "page_size": n}``. ``place`` is a digest of where the file is, ``index`` counts the records of that file
    that were delivered, ``done`` is true when there are no more, and ``next`` is the file of the next page.
    Files that appear later are new, whatever their names. Files that were begun are finished first. If a file
    changed after it was read, that is an error: it is neither read again nor skipped.

    Args:
        paths: Files and globs (``*``, ``?``, ``[…]``, ``**``, ``~``), at least one, read in this order. A zip
            or tar archive stands for the files in it; ``-`` is standard input.
        page_size: Records per page, at most.
        max_record_bytes: A larger record is not kept in memory; it becomes a `DocumentError`, and its first
            64 KiB are stored in the dead letter. 16 MiB by default.
        max_ratio: A gzip file that unpacks to more than this many times its size is refused, once 16 MiB were
            unpacked. 200 by default.
        max_unpacked_bytes: A gzip file that unpacks to more bytes than this is refused. 100 GiB by default.
        on_bad_file: What happens if a file cannot be read, or not to its end: ``stop`` raises the error,
            ``skip`` yields one bad record for it and continues with the next file. A file that was skipped
            and has changed since is read from its beginning by the next run. If the system could not read
            it (a disk, a network, missing permissions), the next run tries again where it stopped.

    Raises:
        TypeError: a path is not a string or path.
        ValueError: no path is given, or a number is less than 1.
    """

    members: ClassVar[tuple[str, ...]] = MEMBERS
    """The endings of the files in an archive that are read."""

    def __init__(
        self,
        *paths: str | os.PathLike[str],
        page_size: int = 256,
        max_record_bytes: int | None = None,
        max_ratio: int | None = None,
        max_unpacked_bytes: int | None = None,
        on_bad_file: OnBadFile = "stop",
    ) -> None:
        if not paths:
            message = f"{type(self).__name__} needs at least one file or glob, for example 'data/*.xml.gz'"
            raise ValueError(message)
        self._paths = [_path(path) for path in paths]
        self.page_size = positive("page_size", page_size)
        self._max_record_bytes = _limit("max_record_bytes", max_record_bytes, MAX_RECORD_BYTES)
        usual = Unpacking()
        self._unpacking = Unpacking(
            _limit("max_ratio", max_ratio, usual.max_ratio),
            _limit("max_unpacked_bytes", max_unpacked_bytes, usual.max_bytes),
            self.members,
        )
        if on_bad_file not in get_args(OnBadFile):
            message = f"on_bad_file must be 'stop' or 'skip', not {on_bad_file!r}"
            raise ValueError(message)
        self._skip_bad = on_bad_file == "skip"
        self._parameters = {"paths": [as_text(path) for path in self._paths]}

    @property
    def parameters(self) -> dict[str, Any]:
        """The paths and globs, unchanged."""
        return self._parameters

    def check(self) -> None:
        """Raise `SourceError` if a path does not exist, or a glob matches nothing."""
        check_paths(self._paths)

    def inputs(self) -> list[str]:
        """Return the files in the order in which they are read."""
        try:
            return [as_text(file.place) for file in find_files(self._paths, self._unpacking)]
        except SourceError as error:
            return [str(error)]

    @property
    @abstractmethod
    def format(self) -> Format:
        """The format of the files."""

    @staticmethod
    def settled(position: JSON) -> int:
        """Return how many records come before ``position``, in all of its files."""
        return sum(state["index"] for state in states_of(position).values())

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records, from the beginning (``None``) or from a position of an earlier page.

        Raises:
            SourceError: a path does not exist or a glob matches nothing; a file is not of this format, is
                damaged, ends early, or has changed since ``position``. Records before the error are
                delivered.
            PositionError: ``position`` does not belong to a source of this kind.
        """
        layout, tars = self.format, OpenTars()

        def read(file: InputFile, start: int, first: int) -> Reading:
            return LocalReading(file, layout, start, first, self.page_size, tars)

        walk = Walk(position, self.page_size, read, self._unpacking, skip_bad=self._skip_bad)
        try:
            async with aclosing(walk.pages(self._paths)) as pages:
                async for page in pages:
                    yield page
        finally:
            await walk.aclose()
            tars.close()


def _path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        message = f"a path must be a str or a pathlib.Path, not {type(path).__name__}"
        raise TypeError(message)
    return text


def _limit(name: str, number: int | None, usual: int) -> int:
    return usual if number is None else positive(name, number)


def positive(name: str, number: int) -> int:
    """Return ``number`` if it is a whole number of at least 1.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is less than 1.
    """
    if isinstance(number, bool) or not isinstance(number, int):
        message = f"{name} must be a whole number, not {number!r}"
        raise TypeError(message)
    if number < 1:
        message = f"{name} must be at least 1, not {number}"
        raise ValueError(message)
    return number
