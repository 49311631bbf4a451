"""Splits a stream of XML into its records before any of them is parsed.

This is faster than parsing the stream as a whole, and a bad record costs only itself: a parser of the whole
stream would stop at the first record that is not well-formed.

A *record* is a child of the root element with one of the given names, from its ``<`` to its ``>``, byte for
byte. Tags inside comments, CDATA sections and processing instructions do not count. After damage the splitter
continues at the next safe place:

* In a *flat* set (the default), no record contains another, so the start tag of a record always begins a
  record, and the root's end tag always ends the set. A record without an end tag therefore costs only itself.
  Anything else between two records becomes one bad record, so that nothing is skipped silently.
* With ``nested=True`` records may contain elements of their own name: tags are counted. Other children of the
  root are skipped.

A stream may hold several sets one after the other, each with its own declaration, document type and
namespaces, and records without a set around them (*bare* ones), as collected pages of a service often do. All
of it must have one encoding.

An error of the stream itself (it ends too early, is not XML, or has another root) is raised after all records
before it were returned.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from penstock.adapters.xml_files.prolog import Prolog
from penstock.adapters.xml_files.scanner import MAX_TAG_BYTES, NAME_ENDS, TAG_NAME, Scanner
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_RECORD_BYTES = 16 * 1024 * 1024
HEAD_BYTES = 64 * 1024  # kept of a record that is too large: enough to identify it


class Piece(NamedTuple):
    """One record: the name of its element, its bytes, and the offset of its first byte in the (UTF-8) stream.

    ``fault`` is empty, or says why these bytes are not a whole record. ``data`` is then what was found, or
    the first 64 KiB of a record that is too large. ``namespaces`` are the prefixes that the root element
    declares, and ``subset`` is the internal subset of its document type, if that declares entities. A record
    on its own lacks both.
    """

    name: str
    data: bytes
    offset: int
    fault: str = ""
    namespaces: Mapping[str, str] = MappingProxyType({})
    subset: bytes = b""


class _State(Enum):
    PROLOG = auto()
    BETWEEN = auto()
    RECORD = auto()
    EPILOG = auto()


class RecordSplitter:
    """Splits one stream. The sizes of the chunks that it is fed do not change the result.

    Args:
        roots: For each root element that is accepted, the names of its records.
        where: The name of the stream, for messages.
        nested: Whether records may contain elements of their own name (see above).
        max_record_bytes: A larger record is not kept in memory; it becomes a faulty one.
        limits: Other limits, for records of these names.
    """

    def __init__(
        self,
        roots: Mapping[str, Sequence[str]],
        *,
        where: str = "the XML",
        nested: bool = False,
        max_record_bytes: int = MAX_RECORD_BYTES,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self._roots = roots
        self._where = where
        self._nested = nested
        self._max = self._usual_max = max_record_bytes
        self._limits = {name.encode(): limit for name, limit in (limits or {}).items()}
        self._scan = Scanner()
        self._prolog = Prolog(self._scan, roots, where)
        self._openings = [
            b"<?xml",
            b"<!DOCTYPE",
            *{b"<" + name.encode() for root, records in roots.items() for name in (root, *records)},
        ]
        self._longest = max(map(len, self._openings)) + 1
        self._encoding: str | None = None
        self._state = _State.PROLOG
        self._start = 0  # where the current record begins in the buffer
        self._name = b""  # of the current record's element; empty if it is not an element
        self._depth = 0
        self._emit = True
        self._head: bytes | None = None  # the beginning of a record that is too large
        self._found: list[Piece] = []
        self._error: SourceError | None = None
        self.count = 0

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete.

        Raises:
            SourceError: the stream is damaged, or is not what was expected. Records before the error are
                returned first.
        """
        if self._error is None:
            self._scan.feed(data)
            self._run()
        found, self._found = self._found, []
        if not found and self._error is not None:
            raise self._error
        return found

    def close(self) -> None:
        """End the stream.

        Raises:
            SourceError: it ends before its root element does.
        """
        over = self._state is _State.EPILOG or (self._state is _State.BETWEEN and self._prolog.bare)
        complete = over and not self._scan.until and not self._scan.buffer
        if self._error is None and not complete:
            self._error = self._ends_early()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        step = {
            _State.PROLOG: self._read_prolog,
            _State.BETWEEN: self._between,
            _State.RECORD: self._inside,
            _State.EPILOG: self._epilog,
        }
        try:
            while step[self._state]():
                pass
        except SourceError as error:
            self._error = error
        self._trim()

    def _trim(self) -> None:
        """Drop the bytes that are no longer needed."""
        count = self._scan.at
        if self._state is _State.RECORD and self._head is None:
            if len(self._scan.buffer) - self._start > self._max:
                self._keep_head()
            else:
                count = self._start
        self._scan.drop(count)
        self._start -= count

    def _keep_head(self) -> None:
        self._head = bytes(self._scan.buffer[self._start : self._start + min(HEAD_BYTES, self._max)])

    # -- Each of these steps returns whether the buffer may contain more to do.

    def _read_prolog(self) -> bool:
        more = self._prolog.step()
        if self._prolog.root:
            self._root_end = b"</" + self._prolog.root.encode()
            self._records = [name.encode() for name in self._roots[self._prolog.root]]
            self._starts = [b"<" + name for name in self._records]
            outside = [self._root_end]
            if self._prolog.bare:  # such a record also ends where a set begins
                outside = [b"<" + root.encode() for root in self._roots]
            self._borders = [*dict.fromkeys([*self._starts, *outside])]
            self._check_encoding()
            # This many bytes at the end of the buffer may be the beginning of a token.
            self._overlap = max(len(token) for token in (*self._borders, b"<![CDATA[")) + 2
            self._state = _State.EPILOG if self._prolog.empty else _State.BETWEEN
        return more

    def _between(self) -> bool:
        """Read what follows the last record."""
        scan = self._scan
        if not scan.leave_opaque() or not scan.skip_space():
            return False
        buffer, at = scan.buffer, scan.at
        if len(buffer) - at < self._overlap and buffer.find(b">", at) < 0:
            return False  # too short to tell what it is
        for name, start in zip(self._records, self._starts, strict=True):
            if buffer.startswith(start, at) and buffer[at + len(start)] in NAME_ENDS:
                return self._open(name, at + len(start))
        if buffer.startswith(self._root_end, at) and buffer[at + len(self._root_end)] in NAME_ENDS:
            return self._end_root()
        if (self._prolog.bare and self._begin_set()) or scan.enter_opaque(cdata=self._nested):
            return True
        return self._foreign()

    def _begin_set(self) -> bool:
        """Return whether a further set, or a bare record, begins at the cursor, and prepare to read it."""
        scan = self._scan
        if scan.buffer.startswith(BOM_UTF8, scan.at):
            scan.at += len(BOM_UTF8)
            return True
        for token in self._openings:
            after = scan.at + len(token)
            if scan.buffer[scan.at : after].upper() == token.upper() and scan.buffer[after] in NAME_ENDS:
                self._prolog = Prolog(scan, self._roots, self._where)
                self._state = _State.PROLOG
                return True
        return False

    def _check_encoding(self) -> None:
        encoding = self._prolog.encoding
        if self._encoding is None:
            self._encoding = encoding or "utf-8"
        elif encoding not in ("", self._encoding):
            raise self._broken(
                f"changes its encoding from {self._encoding} to {encoding} before byte "
                f"{self._scan.base + self._scan.at}: put its sets into files of their own"
            )

    def _end_root(self) -> bool:
        scan = self._scan
        end = scan.buffer.find(b">", scan.at, scan.at + MAX_TAG_BYTES)
        if end < 0:
            if len(scan.buffer) - scan.at >= MAX_TAG_BYTES:
                raise self._broken(f"is not well-formed: the end tag of <{self._prolog.root}> does not end")
            return False
        scan.at = end + 1
        self._state = _State.EPILOG
        return True

    def _foreign(self) -> bool:
        """Begin what is neither a record nor the end of the set; in a nested set, skip text."""
        scan = self._scan
        buffer, at = scan.buffer, scan.at
        if not self._nested:
            self._start, self._name, self._state = at, b"", _State.RECORD
            self._max = self._usual_max
            return True
        if buffer[at] != ord("<"):
            end = buffer.find(b"<", at)
            scan.at = len(buffer) if end < 0 else end
            return end >= 0
        place = f"at byte {scan.base + at}"
        match = TAG_NAME.match(buffer, at)
        if match is None:
            raise self._broken(f"is not well-formed {place}: {bytes(buffer[at : at + 20])!r}")
        if match.end() == len(buffer):
            if len(buffer) - at >= MAX_TAG_BYTES:
                raise self._broken(f"is not well-formed: the name of the element {place} does not end")
            return False
        return self._open(match[1], match.end(), emit=False)

    def _open(self, name: bytes, after_name: int, *, emit: bool = True) -> bool:
        """Begin a record at the cursor."""
        scan = self._scan
        end = scan.tag_end(after_name)
        if end is None:
            if len(scan.buffer) - after_name <= MAX_TAG_BYTES:
                return False
            end = after_name  # such a long start tag is broken: the record is bad
        self._start = scan.at
        self._emit = emit
        self._name = name
        self._max = self._limits.get(name, self._usual_max)
        self._overlap = max(self._overlap, len(name) + len("</>") + 1)
        self._depth = 1
        scan.at = end
        self._state = _State.RECORD
        if scan.buffer[end - 2 : end] == b"/>":
            self._finish(end)
        return True

    def _inside(self) -> bool:
        """Look for the end of the current record."""
        scan = self._scan
        if not scan.leave_opaque():
            return False
        at, size = scan.at, len(scan.buffer)
        close = scan.find_tag(b"</" + self._name, at) if self._name else -1
        limit = size if close < 0 else close
        border = self._find_border(at, limit)
        special = scan.find_special(at, limit if border < 0 else border)
        if special >= 0:
            return self._at_special(special)
        if border >= 0:
            return self._at_border(border)
        if close >= 0:
            return self._at_close(close)
        scan.at = max(at, size - self._overlap)
        return False

    def _find_border(self, at: int, limit: int) -> int:
        """Return the place in [at, limit) of the next tag that ends a flat record, or nests one; or -1."""
        nearest = -1
        for token in (b"<" + self._name,) if self._nested else self._borders:
            border = self._scan.find_tag(token, at)
            if 0 <= border < limit:
                nearest = limit = border
        return nearest

    def _at_special(self, special: int) -> bool:
        scan = self._scan
        scan.at = special
        if scan.enter_opaque(cdata=True):
            return True
        if len(scan.buffer) - special < self._overlap:
            return False
        scan.at = special + len(b"<!")  # unknown markup: the parser will refuse the record
        return True

    def _at_border(self, border: int) -> bool:
        if not self._nested:
            fault = "its end tag is missing" if self._name else "it is not a record of this set"
            self._finish(border, fault)
            return True
        scan = self._scan
        after_name = border + 1 + len(self._name)
        end = scan.tag_end(after_name)
        if end is None and len(scan.buffer) - border < MAX_TAG_BYTES:
            scan.at = border
            return False
        scan.at = end = end or after_name
        if scan.buffer[end - 2 : end] != b"/>":
            self._depth += 1
        return True

    def _at_close(self, close: int) -> bool:
        scan = self._scan
        end = scan.buffer.find(b">", close, close + MAX_TAG_BYTES)
        fault = ""
        if end < 0:
            if len(scan.buffer) - close < MAX_TAG_BYTES:
                scan.at = close
                return False
            end, fault = close + 1 + len(self._name), "its end tag does not end"
        scan.at = end + 1
        self._depth -= 1
        if not self._depth:
            self._finish(end + 1, fault)
        return True

    def _finish(self, end: int, fault: str = "") -> None:
        """Emit the current record, which ends before ``end``."""
        scan = self._scan
        size = end - self._start
        if size > self._max and self._head is None:
            self._keep_head()
        if self._head is not None:
            fault = f"it has {size} bytes, more than the {self._max} that max_record_bytes allows"
        data = scan.part(self._start, end) if self._head is None else self._head
        if fault:
            data = data.rstrip()
        if self._emit or fault:
            prolog, offset = self._prolog, scan.base + self._start
            name = self._name.decode()
            self._found.append(Piece(name, data, offset, fault, prolog.namespaces, prolog.subset))
            self.count += 1
        scan.at = end
        self._head = None
        self._emit = True
        self._state = _State.BETWEEN

    def _epilog(self) -> bool:
        scan = self._scan
        if not scan.leave_opaque() or not scan.skip_space():
            return False
        known = scan.buffer[scan.at] in (ord("<"), BOM_UTF8[0])
        if known and len(scan.buffer) - scan.at < self._longest and scan.buffer.find(b">", scan.at) < 0:
            return False  # too short to tell what it is
        if self._begin_set() or scan.enter_opaque(cdata=False):
            return True
        raise self._broken(
            f"continues after </{self._prolog.root}> at byte {scan.base + scan.at} with something else: "
            "remove it, or fetch the file again"
        )

    # -- Errors

    def _broken(self, what: str) -> SourceError:
        return SourceError(f"{self._where} {what} ({self.count} records before it)")

    def _ends_early(self) -> SourceError:
        if self._state is _State.PROLOG:
            return self._prolog.ends_early(further=self._encoding is not None)
        root = self._prolog.root
        if self._state is _State.EPILOG:
            return self._broken(f"ends in the middle of the markup after </{root}>")
        base = self._scan.base
        place = f"within the record that begins at byte {base + self._start}"
        if self._state is _State.BETWEEN:
            place = f"before </{root}>"
        size = base + len(self._scan.buffer)
        return self._broken(f"is truncated: it ends {place}, after {size} bytes of XML; fetch it again")
