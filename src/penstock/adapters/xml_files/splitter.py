"""Splits a stream of XML into its records, before any of it is parsed.

Splitting first is faster than parsing the stream as one (the search is C: ``bytes.find``), and it isolates
poison: a record that is not well-formed is one bad record, where a parser of the whole stream stops for good.

A *record* is a child of the root element with one of the given names, from its ``<`` to its ``>``, byte for
byte. Tags inside comments, CDATA sections and processing instructions do not count. Where something is
wrong, the splitter looks for the next place that is surely right:

* In a *flat* set (the default; a PubmedArticle never holds another), the start tag of a record always begins
  a record and the root's end tag always ends the set. So a record whose end tag is missing costs itself only,
  and anything between records that is not a record is one bad record, reported rather than skipped.
* With ``nested=True`` records may hold elements of their own name, found by counting; other children of the
  root are skipped whole.

An error of the stream itself (it ends too early, it is not XML, it has another root) comes after all records
before it.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import unescape

from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_RECORD_BYTES", "Piece", "RecordSplitter"]

MAX_RECORD_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024  # what is kept of a record that is too large: enough to say which one it was
_MAX_PROLOG_BYTES = 1024 * 1024
_MAX_TAG_BYTES = 1024 * 1024  # a tag that goes on for longer is broken
_PATIENCE = 16  # false alarms before the exact, slower search


class Piece(NamedTuple):
    """One record: the name of its element, its bytes, and the offset of its first byte in the (UTF-8) stream.

    ``fault`` is empty, or says why these bytes are not a whole record; ``data`` is then what there was, or
    the first 64 KiB of what was too large.
    """

    name: str
    data: bytes
    offset: int
    fault: str = ""


class _State(Enum):
    PROLOG = auto()
    BETWEEN = auto()
    RECORD = auto()
    EPILOG = auto()


_SPACE = re.compile(rb"[ \t\r\n]*")
_DOCTYPE = re.compile(
    rb"<!DOCTYPE(?>[^\[\]<>\"']|\"[^\"]*\"|'[^']*')*+"
    rb"(?>\[(?>[^\]\"'<]|\"[^\"]*\"|'[^']*'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?))*+\][ \t\r\n]*)?>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTES = re.compile(rb"(?>[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+")
_NAME = re.compile(rb"<([^\s<>/\"'=!?&]+)")
_NAMESPACE = re.compile(rb"(?:^|\s)xmlns:([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_ENDS_NAME = b" \t\r\n/>"
_CONSTRUCTS = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<?", b"?>"))


class RecordSplitter:
    """Splits one stream; feed it bytes in any portions, they do not change the result.

    Args:
        roots: For each root element that is accepted, the names of its records.
        where: The name of the stream, for messages.
        nested: Whether records may hold elements of their own name (see above).
        max_record_bytes: A larger record is not held in memory but given as a faulty one.
    """

    def __init__(
        self,
        roots: Mapping[str, Sequence[str]],
        *,
        where: str = "the XML",
        nested: bool = False,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self._roots = roots
        self._where = where
        self._nested = nested
        self._max = max_record_bytes
        self._buffer = bytearray()
        self._base = 0  # offset in the stream of the buffer's first byte
        self._at = 0  # everything in the buffer before it has been looked at
        self._start = 0  # where the current record begins
        self._name = b""  # of the current record; empty while between things that are no record
        self._depth = 0
        self._emit = True
        self._until = b""  # end of the comment, CDATA section or instruction that we are in
        self._head = b""  # of a record that turned out too large
        self._oversize = False
        self._state = _State.PROLOG
        self._found: list[Piece] = []
        self._nearest: dict[
            bytes, int
        ] = {}  # of what is looked for, where it stands next in the buffer, or -1
        self._error: SourceError | None = None
        self.count = 0
        self.namespaces: dict[str, str] = {}
        """Prefixes that the root element declares, once it was seen: a record by itself lacks them."""

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete.

        Raises:
            SourceError: the stream is not what it should be; raised once all records before are returned.
        """
        if self._error is None:
            self._buffer += data
            self._run()
        return self._take()

    def close(self) -> None:
        """End the stream.

        Raises:
            SourceError: it ends before its root element does.
        """
        if self._error is None and (self._state is not _State.EPILOG or self._until or self._buffer):
            self._error = self._ends_early()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        step = {
            _State.PROLOG: self._prolog,
            _State.BETWEEN: self._between,
            _State.RECORD: self._record,
            _State.EPILOG: self._epilog,
        }
        self._nearest.clear()
        try:
            while step[self._state]():
                pass
        except SourceError as error:
            self._error = error
        self._trim()

    def _take(self) -> list[Piece]:
        found, self._found = self._found, []
        if not found and self._error is not None:
            raise self._error
        return found

    def _trim(self) -> None:
        """Forget the bytes that nothing needs any more."""
        keep = self._at
        if self._state is _State.RECORD and not self._oversize:
            if len(self._buffer) - self._start > self._max:
                self._too_large()
            else:
                keep = self._start
        if keep:
            del self._buffer[:keep]
            self._base += keep
            self._at -= keep
            self._start -= keep

    def _too_large(self) -> None:
        self._oversize = True
        self._head = bytes(self._buffer[self._start : self._start + min(_HEAD_BYTES, self._max)])

    # -- each step returns whether there is more to do with the bytes at hand

    def _prolog(self) -> bool:
        buffer = self._buffer
        if not self._inside_construct():
            return False
        if not self._skip_space():
            return False
        if buffer[self._at] != ord("<"):
            raise self._not_xml()
        if self._begin_construct(cdata=False):
            return True
        if buffer.startswith(b"<!", self._at):
            return self._doctype()
        return self._root()

    def _doctype(self) -> bool:
        match = _DOCTYPE.match(self._buffer, self._at)
        if match is None:
            beginning = bytes(self._buffer[self._at : self._at + len(b"<!DOCTYPE")]).upper()
            if not b"<!DOCTYPE".startswith(beginning) and not b"<!--".startswith(beginning):
                raise self._not_xml()
            return self._more_prolog()
        self._at = match.end()
        return True

    def _root(self) -> bool:
        buffer = self._buffer
        match = _NAME.match(buffer, self._at)
        if match is None:
            if len(buffer) - self._at > 1:
                raise self._not_xml()
            return False
        end = self._tag_end(match.end())
        if end is None:
            return self._more_prolog()
        name = match[1].decode("utf-8", "replace")
        if name not in self._roots:
            wanted = " or ".join(f"<{root}>" for root in self._roots)
            message = f"{self._where} has <{name}> for its root element, where {wanted} is wanted: {_HINT}"
            raise SourceError(message)
        if buffer[end - 1] != ord(">"):
            raise self._broken(f"is not well-formed: the start tag of <{name}> is broken")
        attributes = bytes(buffer[match.end() : end - 1])
        self._declare(attributes)
        self._set_names(name)
        self._at = end
        self._state = _State.EPILOG if attributes.endswith(b"/") else _State.BETWEEN
        return True

    def _declare(self, attributes: bytes) -> None:
        for prefix, uri in _NAMESPACE.findall(attributes.removesuffix(b"/")):
            text = uri[1:-1].decode("utf-8", "replace")
            self.namespaces[prefix.decode("utf-8", "replace")] = unescape(
                text, {"&quot;": '"', "&apos;": "'"}
            )

    def _set_names(self, root: str) -> None:
        self._root_name = root
        self._root_end = b"</" + root.encode()
        self._records = [name.encode() for name in self._roots[root]]
        self._starts = [b"<" + name for name in self._records]
        # In a flat set, whatever these find inside a record ends it.
        self._borders = [*self._starts, self._root_end]
        self._overlap = max(len(token) for token in (*self._borders, b"<![CDATA[")) + 2

    def _between(self) -> bool:
        if not self._inside_construct() or not self._skip_space():
            return False
        buffer, at = self._buffer, self._at
        if len(buffer) - at < self._overlap and buffer.find(b">", at) < 0:
            return False  # too little to tell what it is
        for name, start in zip(self._records, self._starts, strict=True):
            if buffer.startswith(start, at) and buffer[at + len(start)] in _ENDS_NAME:
                return self._open(name, at + len(start))
        if buffer.startswith(self._root_end, at) and buffer[at + len(self._root_end)] in _ENDS_NAME:
            return self._end_root()
        if self._begin_construct(cdata=self._nested):
            return True
        return self._foreign()

    def _end_root(self) -> bool:
        end = self._buffer.find(b">", self._at, self._at + _MAX_TAG_BYTES)
        if end < 0:
            if len(self._buffer) - self._at >= _MAX_TAG_BYTES:
                raise self._broken(f"is not well-formed: the end tag of <{self._root_name}> does not end")
            return False
        self._at = end + 1
        self._state = _State.EPILOG
        return True

    def _foreign(self) -> bool:
        """Meet something that is neither a record nor the end of the set."""
        buffer, at = self._buffer, self._at
        if not self._nested:
            self._start, self._name, self._state = at, b"", _State.RECORD
            return True
        if buffer[at] != ord("<"):  # text between records
            end = buffer.find(b"<", at)
            self._at = len(buffer) if end < 0 else end
            return end >= 0
        match = _NAME.match(buffer, at)
        if match is None:
            raise self._broken(
                f"is not well-formed at byte {self._base + at}: {bytes(buffer[at : at + 20])!r}"
            )
        if match.end() == len(buffer):
            if len(buffer) - at >= _MAX_TAG_BYTES:
                raise self._broken(
                    f"is not well-formed: the name of an element at byte {self._base + at} does not end"
                )
            return False
        return self._open(match[1], match.end(), emit=False)

    def _open(self, name: bytes, after_name: int, *, emit: bool = True) -> bool:
        end = self._tag_end(after_name)
        if end is None:
            if len(self._buffer) - after_name <= _MAX_PROLOG_BYTES:
                return False
            end = after_name  # a start tag of that length is broken: what is found here is a bad record
        self._start = self._at
        self._emit = emit
        self._name = name
        self._overlap = max(self._overlap, len(name) + len("</>") + 1)
        self._depth = 1
        self._at = end
        self._state = _State.RECORD
        if self._buffer[end - 2 : end] == b"/>":
            self._finish(end)
        return True

    def _tag_end(self, at: int) -> int | None:
        """Return where the tag ends whose attributes begin at ``at``; ``None`` if that is not there yet.

        A tag that is broken by a ``<`` ends there: its record is bad, and the next may be good.
        """
        buffer = self._buffer
        match = _ATTRIBUTES.match(buffer, at)
        end = match.end() if match else at  # it matches nothing, too
        if end < len(buffer) and buffer[end] == ord(">"):
            return end + 1
        return None if buffer.find(b"<", end) < 0 else end

    def _record(self) -> bool:
        """Look for the end of the current record."""
        if not self._inside_construct():
            return False
        buffer, at = self._buffer, self._at
        close = self._next_tag(b"</" + self._name, at) if self._name else -1
        limit = len(buffer) if close < 0 else close
        border = self._find_border(at, limit)
        special = self._find_special(at, limit if border < 0 else border)
        if special >= 0:
            return self._at_special(special)
        if border >= 0:
            return self._at_border(border)
        if close >= 0:
            return self._at_close(close)
        self._at = max(at, len(buffer) - self._overlap)
        return False

    def _at_special(self, special: int) -> bool:
        self._at = special
        if self._begin_construct(cdata=True):
            return True
        if len(self._buffer) - special < self._overlap:
            return False
        self._at = special + len(b"<!")  # of nothing known: the parser will refuse it
        return True

    def _at_border(self, border: int) -> bool:
        if self._nested:
            end = self._tag_end(border + 1 + len(self._name))
            if end is None and len(self._buffer) - border < _MAX_TAG_BYTES:
                self._at = border
                return False
            end = end or border + 1 + len(self._name)
            self._at = end
            if self._buffer[end - 2 : end] != b"/>":
                self._depth += 1
            return True
        self._finish(border, "its end tag is missing" if self._name else "it is not a record of this set")
        return True

    def _at_close(self, close: int) -> bool:
        end = self._buffer.find(b">", close, close + _MAX_TAG_BYTES)
        fault = ""
        if end < 0:
            if len(self._buffer) - close < _MAX_TAG_BYTES:
                self._at = close
                return False
            end, fault = close + 1 + len(self._name), "its end tag does not end"
        self._at = end + 1
        self._depth -= 1
        if not self._depth:
            self._finish(end + 1, fault)
        return True

    def _finish(self, end: int, fault: str = "") -> None:
        """Give out the current record, which ends before ``end``."""
        size = end - self._start
        if self._oversize or size > self._max:
            if not self._oversize:
                self._too_large()
            fault = f"it has {size} bytes, more than the {self._max} that max_record_bytes allows"
        data = self._head if self._oversize else bytes(self._buffer[self._start : end])
        if fault:
            data = data.rstrip()
        if self._emit or fault:
            self._found.append(Piece(self._name.decode(), data, self._base + self._start, fault))
            self.count += 1
        self._at = end
        self._oversize = False
        self._head = b""
        self._emit = True
        self._state = _State.BETWEEN

    def _epilog(self) -> bool:
        if not self._inside_construct() or not self._skip_space():
            return False
        if self._begin_construct(cdata=False):
            return True
        if len(self._buffer) - self._at < len(b"<!--") and self._buffer[self._at] == ord("<"):
            return False
        message = (
            f"goes on after </{self._root_name}> at byte {self._base + self._at}: "
            "if it is several files in one, split them"
        )
        raise self._broken(message)

    # -- searching

    def _skip_space(self) -> bool:
        match = _SPACE.match(self._buffer, self._at)
        self._at = match.end() if match else self._at  # it matches nothing, too
        return self._at < len(self._buffer)

    def _begin_construct(self, *, cdata: bool) -> bool:
        """Enter the comment, CDATA section or instruction that stands here, if one does."""
        for begin, end in _CONSTRUCTS:
            if self._buffer.startswith(begin, self._at) and (cdata or end != b"]]>"):
                self._at += len(begin)
                self._until = end
                return True
        return False

    def _inside_construct(self) -> bool:
        """Leave the construct that we are in, if any; say no if its end is not there yet."""
        until = self._until
        if not until:
            return True
        end = self._buffer.find(until, self._at)
        if end < 0:
            self._at = max(self._at, len(self._buffer) - len(until) + 1)
            return False
        self._at = end + len(until)
        self._until = b""
        return True

    # What was found is remembered until more bytes come. Otherwise a stream of nothing but "<!", or of
    # records that never end, would be searched to its end from each of its bytes.

    def _next_tag(self, token: bytes, at: int) -> int:
        """Return where ``token`` stands next as a whole tag name, or -1."""
        nearest = self._nearest.get(token, 0)
        if 0 <= nearest < at or token not in self._nearest:
            nearest = self._nearest[token] = self._find_tag(token, at)
        return nearest

    def _find_tag(self, token: bytes, at: int) -> int:
        buffer = self._buffer
        length = len(token)
        while True:
            at = buffer.find(token, at)
            if at < 0 or at + length >= len(buffer):
                return -1
            if buffer[at + length] in _ENDS_NAME:
                return at
            at += length

    def _find_border(self, at: int, limit: int) -> int:
        """Return where the next tag stands in [at, limit) that ends a record, or all of them, or -1."""
        nearest = -1
        for token in (b"<" + self._name,) if self._nested else self._borders:
            border = self._next_tag(token, at)
            if 0 <= border < limit:
                nearest = limit = border
        return nearest

    def _find_special(self, at: int, limit: int) -> int:
        """Return where the next ``<!`` or ``<?`` stands in [at, limit), or -1."""
        nearest = -1
        for mark in (b"!", b"?"):
            special = self._nearest.get(mark, 0)
            if 0 <= special < at or mark not in self._nearest:
                special = self._nearest[mark] = self._find_after_less(mark, at)
            if 0 <= special < limit:
                nearest = limit = special
        return nearest

    def _find_after_less(self, mark: bytes, at: int) -> int:
        # The search for one byte is memchr, ten times faster than for two; both marks are rare in text.
        buffer = self._buffer
        found = buffer.find(mark, at)
        for _ in range(_PATIENCE):
            if found < 0:
                return -1
            if found > at and buffer[found - 1] == ord("<"):
                return found - 1
            found = buffer.find(mark, found + 1)
        return -1 if found < 0 else buffer.find(b"<" + mark, max(at, found - 1))

    # -- errors

    def _more_prolog(self) -> bool:
        if len(self._buffer) - self._at > _MAX_PROLOG_BYTES:
            raise self._broken("has a prolog longer than 1 MiB")
        return False

    def _broken(self, what: str) -> SourceError:
        return SourceError(f"{self._where} {what} ({self.count} records before it)")

    def _not_xml(self) -> SourceError:
        start = bytes(self._buffer[self._at : self._at + 40])
        return SourceError(f"{self._where} is not XML: it begins with {start!r}; {_HINT}")

    def _ends_early(self) -> SourceError:
        size = self._base + len(self._buffer)
        if self._state is _State.PROLOG:
            if not bytes(self._buffer[self._at :]).strip():
                return SourceError(f"{self._where} holds no XML element; {_HINT}")
            return SourceError(f"{self._where} ends within its prolog, after {size} bytes: fetch it again")
        if self._state is _State.EPILOG:
            return self._broken(f"ends within something that stands after </{self._root_name}>")
        place = f"within the record that begins at byte {self._base + self._start}"
        if self._state is _State.BETWEEN:
            place = f"before </{self._root_name}>"
        return self._broken(f"is truncated: it ends {place}, after {size} bytes of XML; fetch it again")


_HINT = "check that it is the file you meant"
