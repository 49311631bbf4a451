"""The beginning of an XML stream: declaration, document type, and the start tag of the root element."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import unescape

from penstock.adapters.xml_files.encoding import DECLARATION_BYTES, declared_encoding
from penstock.adapters.xml_files.scanner import TAG_NAME
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.adapters.xml_files.scanner import Scanner

_MAX_BYTES = 1024 * 1024
_DOCTYPE = re.compile(
    rb"<!DOCTYPE(?>[^\[\]<>\"']|\"[^\"]*\"|'[^']*')*+"
    rb"(?>\[((?>[^\]\"'<]|\"[^\"]*\"|'[^']*'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?))*+)\][ \t\r\n]*)?>",
    re.DOTALL | re.IGNORECASE,
)
_NAMESPACE = re.compile(rb"(?:^|\s)xmlns:([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_HINT = "check that it is the file you meant"


class Prolog:
    """Reads up to the end of the root's start tag.

    Args:
        scan: The stream.
        roots: The root elements that are accepted, and the records of each.
        where: The name of the stream, for messages.
    """

    def __init__(self, scan: Scanner, roots: Mapping[str, Sequence[str]], where: str) -> None:
        self._scan = scan
        self._roots = roots
        self._where = where
        self.root = ""
        """The root's name, once its start tag was read."""
        self.empty = False
        """Whether the root is an empty-element tag."""
        self.namespaces: dict[str, str] = {}
        """The prefixes that the root declares, with their URIs."""
        self.subset = b""
        """The internal subset of the document type if it declares entities."""
        self.bare = False
        """Whether the records have no root around them; ``root`` is then the one that they usually have."""
        self.encoding = ""
        """The encoding that the XML declaration names, if there is one."""

    def step(self) -> bool:
        """Read one item of the prolog; return whether the buffer may contain more.

        Raises:
            SourceError: it is not XML, not well-formed, has another root, or is too long.
        """
        scan = self._scan
        if not scan.leave_opaque() or not scan.skip_space():
            return False
        if scan.buffer[scan.at] != ord("<"):
            raise self._not_xml()
        if scan.buffer.startswith(b"<?xml", scan.at) and not self._read_declaration():
            return False
        if scan.enter_opaque(cdata=False):
            return True
        if scan.buffer.startswith(b"<!", scan.at):
            return self._read_doctype()
        return self._read_root()

    def ends_early(self, *, further: bool) -> SourceError:
        """Return the error for a stream that ends before its root, or that of a further set, begins."""
        scan = self._scan
        if not further and not bytes(scan.buffer[scan.at :]).strip():
            return SourceError(f"{self._where} contains no XML element; {_HINT}")
        size = scan.base + len(scan.buffer)
        return SourceError(f"{self._where} ends within its prolog, after {size} bytes: fetch it again")

    def _read_declaration(self) -> bool:
        """Read the encoding; return ``False`` if the declaration has not arrived yet."""
        scan = self._scan
        if scan.buffer.find(b"?>", scan.at) < 0 and len(scan.buffer) - scan.at <= DECLARATION_BYTES:
            return False
        self.encoding = declared_encoding(bytes(scan.buffer[scan.at : scan.at + DECLARATION_BYTES]))
        return True

    def _read_doctype(self) -> bool:
        scan = self._scan
        match = _DOCTYPE.match(scan.buffer, scan.at)
        if match is None:
            beginning = bytes(scan.buffer[scan.at : scan.at + len(b"<!DOCTYPE")]).upper()
            if not b"<!DOCTYPE".startswith(beginning) and not b"<!--".startswith(beginning):
                raise self._not_xml()
            return self._wait_for_more()
        if match[1] and b"<!ENTITY" in match[1]:
            self.subset = match[1]
        scan.at = match.end()
        return True

    def _read_root(self) -> bool:
        scan = self._scan
        match = TAG_NAME.match(scan.buffer, scan.at)
        if match is None:
            if len(scan.buffer) - scan.at > 1:
                raise self._not_xml()
            return False
        end = scan.tag_end(match.end())
        if end is None:
            return self._wait_for_more()
        name = match[1].decode("utf-8", "replace")
        if name not in self._roots and (usual := self._root_of(name)) is not None:
            self.root, self.bare = usual, True
            return True
        if name not in self._roots:
            wanted = " or ".join(f"<{root}>" for root in self._roots)
            message = f"{self._where} has the root element <{name}>, not {wanted}: {_HINT}"
            raise SourceError(message)
        if scan.buffer[end - 1] != ord(">"):
            message = f"{self._where} is not well-formed: the start tag of <{name}> is broken"
            raise SourceError(message)
        attributes = bytes(scan.buffer[match.end() : end - 1])
        self.empty = attributes.endswith(b"/")
        for prefix, uri in _NAMESPACE.findall(attributes.removesuffix(b"/")):
            text = unescape(uri[1:-1].decode("utf-8", "replace"), {"&quot;": '"', "&apos;": "'"})
            self.namespaces[prefix.decode("utf-8", "replace")] = text
        scan.at = end
        self.root = name
        return True

    def _root_of(self, record: str) -> str | None:
        return next((root for root, records in self._roots.items() if record in records), None)

    def _wait_for_more(self) -> bool:
        if len(self._scan.buffer) - self._scan.at > _MAX_BYTES:
            message = f"{self._where} has a prolog longer than 1 MiB; {_HINT}"
            raise SourceError(message)
        return False

    def _not_xml(self) -> SourceError:
        start = bytes(self._scan.buffer[self._scan.at : self._scan.at + 40])
        return SourceError(f"{self._where} is not XML: it begins with {start!r}; {_HINT}")
