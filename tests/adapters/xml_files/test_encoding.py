"""XML in any encoding becomes UTF-8, whatever the chunks."""

from __future__ import annotations

import codecs
from contextlib import suppress
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.xml_files.encoding import Utf8Stream
from penstock.errors import SourceError


def transcode(data: bytes, size: int) -> bytes:
    stream = Utf8Stream("a.xml")
    parts = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join([*parts, stream.close()])


ENCODINGS = [
    ("utf-8", b""),
    ("utf-8", codecs.BOM_UTF8),
    ("utf-16-le", codecs.BOM_UTF16_LE),
    ("utf-16-be", codecs.BOM_UTF16_BE),
    ("utf-16-le", b""),
    ("utf-16-be", b""),
    ("utf-32-le", codecs.BOM_UTF32_LE),
    ("utf-32-be", b""),
    ("iso-8859-1", b""),
    ("windows-1252", b""),
    ("us-ascii", b""),
]


@pytest.mark.parametrize(("encoding", "mark"), ENCODINGS)
@given(text=st.text(alphabet="aé<>? \n", max_size=50), size=st.integers(1, 2_000))
def test_all_become_utf_8(encoding: str, mark: bytes, text: str, size: int) -> None:
    """A byte order mark, the first bytes or the declaration determine the encoding, whatever the chunks."""
    name = encoding.removesuffix("-le").removesuffix("-be")
    if encoding == "us-ascii":
        text = text.replace("é", "e")
    whole = f"<?xml version='1.0' encoding='{name}'?><a>{text}"
    assert transcode(mark + whole.encode(encoding), size) == whole.encode()


@pytest.mark.parametrize("text", ["", "<a", "<?xml", "<?xml version='1.0'?><é/>", "plain é", " <é/>"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_without_a_declaration_it_is_utf_8(text: str, size: int) -> None:
    """Input that is not XML passes through too; the splitter reports it."""
    assert transcode(text.encode(), size) == text.encode()


def test_a_declaration_that_contradicts_the_bytes() -> None:
    """A declaration that is readable as ASCII is not UTF-16: the file is read as UTF-8, as most parsers do."""
    data = "<?xml version='1.0' encoding='UTF-16'?><é/>".encode()
    assert transcode(data, 7) == data


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "zlib", "undefined", "idna", "unicode_escape"])
def test_an_unknown_encoding_is_named(name: str) -> None:
    """The error names an unknown encoding; codecs that are not encodings of files count as unknown."""
    with pytest.raises(SourceError, match=f"a.xml declares the encoding '{name}', which"):
        transcode(f"<?xml version='1.0' encoding='{name}'?><a/>".encode(), 100)


def test_bytes_that_are_invalid_in_the_encoding() -> None:
    """A file that ends within a character is an error; it is not shortened."""
    with pytest.raises(SourceError, match="is damaged: it is not valid utf-16 "):
        transcode("<a/>".encode("utf-16") + b"x", 100)


def test_every_codec_of_python_is_read_or_refused() -> None:
    """Whatever encoding a file declares, and whatever its bytes are, no other error than a `SourceError` comes.

    Bytes of ASCII and UTF-8 are handed on as they are: each record is checked when it is parsed.
    """
    for name in sorted({*aliases, *aliases.values(), "undefined", "mbcs", "idna", "punycode", "x" * 500}):
        for body in (b"<a>b</a>", b"<a>\xff\xfe\x80\x1b$B</a>", b"\\x \\", b"+AAA-~{"):
            data = b"<?xml version='1.0' encoding='%s'?>%s" % (name.encode(), body)
            with suppress(SourceError):
                assert (found := transcode(data, 11)) == data or found.decode("utf-8")
