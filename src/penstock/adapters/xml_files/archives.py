"""The XML and MEDLINE files in zip and tar archives. Nothing is ever unpacked to disk."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from penstock.adapters.xml_files.reader import CHUNK, FREE, ByteReader, Unpacking, open_file
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz")
MEMBERS = (".xml", ".xml.gz", ".nbib", ".nbib.gz", ".medline")
"""The endings of the files in an archive that are read; others (a readme, checksums) are left out."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its path there, its size in bytes, and its fingerprint."""

    name: str
    size: int
    mark: str


def is_archive(path: str) -> bool:
    """Return whether the name of the file is that of an archive."""
    return path.lower().endswith(_ZIP + _TAR)


def members_of(path: str, unpacking: Unpacking | None = None) -> list[Member]:
    """Return the files in an archive that can be read. A compressed tar is read to its end for this.

    Raises:
        SourceError: the archive is damaged, has no such file, or two of one name.
    """
    with _explained(path):
        members = _listed_zip(path) if _is_zip(path) else _listed_tar(path, unpacking or Unpacking())
    if not members:
        message = f"{path} contains no file that ends in one of {', '.join(MEMBERS)}"
        raise SourceError(message)
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        message = f"{path} contains two files called {twice!r}: unpack it, and name the files to read"
        raise SourceError(message)
    return members


def open_member(path: str, member: Member, unpacking: Unpacking) -> MemberInput:
    """Open a file in an archive.

    Raises:
        SourceError: the archive is damaged, no longer has the file, or unpacks to more than ``unpacking``
            allows.
    """
    with _explained(path):
        if _is_zip(path):
            return _open_in_zip(path, member, unpacking)
        return _open_in_tar(path, member, unpacking)


class MemberInput:
    """The bytes of a file in an archive; see `RawInput`."""

    def __init__(self, path: str, member: Member, content: IO[bytes], owner: IO[bytes] | ByteReader) -> None:
        self.size: int | None = member.size
        self._path = path
        self._content = content
        self._owner = owner

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most ``size``; ``b""`` at the end."""
        with _explained(self._path):
            return self._content.read(size)

    def unchanged(self) -> bool:
        """Return true: a changed archive shows as damage."""
        return True

    def close(self) -> None:
        """Close the archive."""
        self._content.close()
        self._owner.close()


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (SourceError, MemoryError):
        raise
    except Exception as error:  # the archive modules raise errors of five libraries
        message = f"{path} is not an archive, or is damaged ({error or type(error).__name__}): fetch it again"
        raise SourceError(message) from error


def _wanted(name: str) -> bool:
    """Return whether the file is one to read; macOS and editors add hidden ones of the same ending."""
    pure = PurePosixPath(name)
    return name.lower().endswith(MEMBERS) and not pure.name.startswith(".") and "__MACOSX" not in pure.parts


# -- zip


def _is_zip(path: str) -> bool:
    return path.lower().endswith(_ZIP)


def _listed_zip(path: str) -> list[Member]:
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        return [_member(info) for info in archive.infolist() if not info.is_dir() and _wanted(info.filename)]


def _member(info: zipfile.ZipInfo) -> Member:
    return Member(info.filename, info.file_size, f"{info.file_size}-{info.CRC:08x}")


def _open_in_zip(path: str, member: Member, unpacking: Unpacking) -> MemberInput:
    file = open_file(path)
    try:
        archive = zipfile.ZipFile(file)
        info = archive.getinfo(member.name)
        _check_member(path, info, member, unpacking)
        return MemberInput(path, member, archive.open(info), cast("IO[bytes]", file))
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


def _opened_tar(reader: ByteReader) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", _Reading(reader)), mode="r|")


def _listed_tar(path: str, unpacking: Unpacking) -> list[Member]:
    members: list[Member] = []
    with ByteReader(path, unpacking) as reader, _opened_tar(reader) as archive:
        for info in archive:
            content = archive.extractfile(info) if info.isreg() and _wanted(info.name) else None
            if content is not None:
                digest = hashlib.blake2b(digest_size=12)
                while data := content.read(CHUNK):
                    digest.update(data)
                members.append(Member(info.name, info.size, f"{info.size}-{digest.hexdigest()}"))
            archive.members = []  # type: ignore[attr-defined]  # otherwise it remembers every file
    return members


def _open_in_tar(path: str, member: Member, unpacking: Unpacking) -> MemberInput:
    reader = ByteReader(path, unpacking)
    try:
        archive = _opened_tar(reader)
        for info in archive:
            if info.name == member.name:
                content = archive.extractfile(info)
                if content is None or info.size != member.size:
                    break
                return MemberInput(path, member, content, reader)
            archive.members = []  # type: ignore[attr-defined]
    except BaseException:
        reader.close()
        raise
    reader.close()
    raise _changed(path)


def _changed(path: str) -> SourceError:
    return SourceError(f"{path} changed while it was read: run again when no program writes to it")
