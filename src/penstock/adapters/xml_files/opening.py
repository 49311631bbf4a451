"""Opens an input of any kind: a file, a file in an archive, or a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapters.xml_files.archives import is_archive, members_of, open_member
from penstock.adapters.xml_files.raw import StreamInput, stream_name
from penstock.adapters.xml_files.reader import ByteReader, Unpacking
from penstock.errors import SourceError

if TYPE_CHECKING:
    from penstock.adapters.xml_files.archives import OpenTars
    from penstock.adapters.xml_files.inventory import InputFile


def open_input(file: InputFile, unpacking: Unpacking, tars: OpenTars) -> ByteReader:
    """Open ``file`` for reading; ``tars`` keeps its archive open for the next file.

    Raises:
        SourceError: it cannot be read.
    """
    if file.stream:
        return ByteReader(stream_name(file.path), unpacking, StreamInput(file.path))
    if file.member is not None:
        return ByteReader(file.place, unpacking, open_member(file.path, file.member, unpacking, tars))
    if is_archive(file.path):  # it could not be listed
        members_of(file.path, unpacking)
        message = f"{file.path} changed while it was read: run again when no program writes to it"
        raise SourceError(message)
    return ByteReader(file.path, unpacking)
