"""The XML and MEDLINE files in zip and tar archives. Nothing is ever unpacked to disk."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from penstock.adapters.xml_files.reader import CHUNK, FREE, ByteReader, Unpacking, open_file
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path there, its size in bytes, its fingerprint, and its number in a tar."""

    name: str
    size: int
    mark: str
    number: int = 0


def is_archive(path: str) -> bool:
    """Return whether the name of the file is that of an archive."""
    return path.lower().endswith(_ZIP + _TAR)


def members_of(path: str, unpacking: Unpacking | None = None) -> list[Member]:
    """Return the files in an archive that can be read. A compressed tar is read to its end for this.

    Raises:
        SourceError: the archive is damaged, has no such file, or two of one name.
    """
    unpacking = unpacking or Unpacking()
    with _explained(path):
        members = _listed_zip(path, unpacking) if _is_zip(path) else _listed_tar(path, unpacking)
    if not members:
        message = f"{path} contains no file that ends in one of {', '.join(unpacking.members)}"
        raise SourceError(message)
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        message = f"{path} contains two files called {twice!r}: unpack it, and name the files to read"
        raise SourceError(message)
    return members


def open_member(path: str, member: Member, unpacking: Unpacking, tars: OpenTars) -> MemberInput:
    """Open a file in an archive; ``tars`` keeps a tar open for its next file.

    Raises:
        SourceError: the archive is damaged, no longer has the file, or unpacks to more than ``unpacking``
            allows.
    """
    with _explained(path):
        if _is_zip(path):
            return _open_in_zip(path, member, unpacking)
        return _open_in_tar(path, member, unpacking, tars)


class MemberInput:
    """The bytes of a file in an archive; see `RawInput`.

    ``release`` is called once, when it is closed, with whether everything could be read so far.
    """

    def __init__(
        self, path: str, member: Member, content: IO[bytes], release: Callable[[bool], None]
    ) -> None:
        self.size: int | None = member.size
        self._path = path
        self._content = content
        self._release: Callable[[bool], None] | None = release
        self._intact = True

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; ``b""`` at the end."""
        try:
            with _explained(self._path):
                return self._content.read(size)
        except BaseException:
            self._intact = False
            raise

    def unchanged(self) -> bool:
        """Return true: a changed archive shows as damage."""
        return True

    def close(self) -> None:
        """Close the file, and the archive unless it is kept open."""
        release, self._release = self._release, None
        if release is not None:
            self._content.close()
            release(self._intact)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (SourceError, MemoryError):
        raise
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise SourceError(message) from error
    except Exception as error:  # the archive modules raise errors of five libraries
        message = f"{path} is not an archive, or is damaged ({error or type(error).__name__}): fetch it again"
        raise SourceError(message) from error


def _wanted(name: str, endings: tuple[str, ...]) -> bool:
    """Return whether the file is one to read; macOS and editors add hidden ones of the same ending."""
    pure = PurePosixPath(name)
    return name.lower().endswith(endings) and not pure.name.startswith(".") and "__MACOSX" not in pure.parts


# -- zip


def _is_zip(path: str) -> bool:
    return path.lower().endswith(_ZIP)


def _listed_zip(path: str, unpacking: Unpacking) -> list[Member]:
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        return [_member(info) for info in files if _wanted(info.filename, unpacking.members)]


def _member(info: zipfile.ZipInfo) -> Member:
    return Member(info.filename, info.file_size, f"{info.file_size}-{info.CRC:08x}")


def _open_in_zip(path: str, member: Member, unpacking: Unpacking) -> MemberInput:
    file = open_file(path)
    try:
        archive = zipfile.ZipFile(file)
        info = archive.getinfo(member.name)
        _check_member(path, info, member, unpacking)
        return MemberInput(path, member, archive.open(info), lambda _intact: file.close())
    except BaseException:
        file.close()
        raise


def _check_member(path: str, info: zipfile.ZipInfo, member: Member, unpacking: Unpacking) -> None:
    if _member(info) != member:
        raise _changed(path)
    if info.file_size > min(unpacking.max_bytes, max(FREE, unpacking.max_ratio * info.compress_size)):
        message = (
            f"{path}/{member.name} unpacks to {info.file_size} bytes, more than max_ratio or "
            "max_unpacked_bytes allows: it may be a decompression bomb; if it is not, raise the limit"
        )
        raise SourceError(message)


# -- tar


class _Reading:
    """What ``tarfile`` reads from: the content of the archive, unpacked within the limits."""

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:  # noqa: ARG002  tarfile accepts any number of bytes
        return self._reader.read()


def _listed_tar(path: str, unpacking: Unpacking) -> list[Member]:
    members: list[Member] = []
    with closing(_Tar(path, unpacking)) as tar:
        while (found := tar.next_file()) is not None:
            number, info, content = found
            if content is not None and _wanted(info.name, unpacking.members):
                digest = hashlib.blake2b(digest_size=12)
                while data := content.read(CHUNK):
                    digest.update(data)
                mark = f"{info.size}-{digest.hexdigest()}"
                members.append(Member(info.name, info.size, mark, number))
    return members


class _Tar:
    """An open tar archive, read once from its beginning to its end."""

    def __init__(self, path: str, unpacking: Unpacking) -> None:
        self.path = path
        self.number = 0
        """The number of the next file."""
        self._reader = ByteReader(path, unpacking)
        try:
            source = cast("IO[bytes]", _Reading(self._reader))
            self._archive = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115 - read later
        except BaseException:
            self._reader.close()
            raise

    def next_file(self) -> tuple[int, tarfile.TarInfo, IO[bytes] | None] | None:
        """Return the next file: its number, and its content if it is a regular file. ``None`` is the end."""
        info = self._archive.next()
        if info is None:
            return None
        self._archive.members = []  # type: ignore[attr-defined]  # otherwise it remembers every file
        self.number += 1
        return self.number - 1, info, self._archive.extractfile(info) if info.isreg() else None

    def content_of(self, member: Member) -> IO[bytes] | None:
        """Read on to a file and return its content; ``None`` if the archive does not have it there."""
        while (found := self.next_file()) is not None:
            number, info, content = found
            if number == member.number:
                return content if (info.name, info.size) == (member.name, member.size) else None
        return None

    def close(self) -> None:
        self._reader.close()


class OpenTars:
    """Tar archives that stay open behind a file of theirs, at most one for each path.

    The next file is reached by reading on. Without this, each file would unpack the archive from its
    beginning, which is quadratic in the number of files.
    """

    def __init__(self) -> None:
        self._kept: dict[str, _Tar] = {}
        self._closed = False

    def open(self, path: str, member: Member, unpacking: Unpacking) -> tuple[_Tar, IO[bytes]]:
        """Return the archive at the content of ``member``.

        Raises:
            SourceError: the archive no longer has this file.
        """
        tar = self._kept.pop(path, None)
        if tar is not None and tar.number > member.number:  # it is behind us
            tar.close()
            tar = None
        tar = tar or _Tar(path, unpacking)
        try:
            content = tar.content_of(member)
        except BaseException:
            tar.close()
            raise
        if content is None:
            tar.close()
            raise _changed(path)
        return tar, content

    def keep(self, tar: _Tar) -> None:
        """Keep the archive open for its next file."""
        before = self._kept.pop(tar.path, None)
        if before is not None:
            before.close()
        if self._closed:
            tar.close()
        else:
            self._kept[tar.path] = tar

    def close(self) -> None:
        """Close all archives that are kept. Those in use are closed by their users."""
        self._closed = True
        while self._kept:
            self._kept.popitem()[1].close()


def _open_in_tar(path: str, member: Member, unpacking: Unpacking, tars: OpenTars) -> MemberInput:
    tar, content = tars.open(path, member, unpacking)
    return MemberInput(path, member, content, lambda intact: tars.keep(tar) if intact else tar.close())


def _changed(path: str) -> SourceError:
    return SourceError(f"{path} changed while it was read: run again when no program writes to it")
