"""The entities that an XML file declares itself, in the internal subset of its document type.

A record that refers to one of them gets a document type of its own: `Entities.declared` puts the declarations
that the record needs in front of its bytes. So these bytes are complete. Any parser can read them, in any
process and from a dead letter, and their hash changes with the declarations.

Nothing is expanded here. The lengths of the texts tell how long the expanded record would be. A record that
would grow too much is refused. Entities in other files are never read.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.parsers import expat

from penstock.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ADDED = 512 * 1024
"""Bytes that entities may add to a record, whatever its size."""

_FREE = 4096
_TIMES = 20
_MAX_DEPTH = 16
_BOUNDED = (2, 4, 1)  # from this version on, expat limits how often parameter entities are repeated
_STANDARD = {b"lt", b"gt", b"amp", b"quot", b"apos"}
_REFERENCE = re.compile(rb"&([^#;&<>\s\"'%][^;&<>\s\"'%]*);")
_OPAQUE = re.compile(rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
_DOCTYPE = b"<!DOCTYPE _ ["
_DECLARATIONS = re.compile(rb"<!DOCTYPE _ \[(?><!ENTITY [^ <>\"&]+ \"[^<>\"]*\">)*+\]>")
_ESCAPES = str.maketrans({char: f"&#{ord(char)};" for char in '&<>"%\r'})


@lru_cache(4)
def entities_of(subset: bytes) -> Entities:
    """Return the entities that an internal subset declares."""
    return Entities(subset)


class Entities:
    """The general entities of one document type. They are read when a record first refers to one.

    Args:
        subset: What stands between ``[`` and ``]`` in the document type, in UTF-8.
    """

    def __init__(self, subset: bytes) -> None:
        self._subset = subset
        self._texts: dict[bytes, bytes | None] | None = None
        self._fault = ""
        self._sizes: dict[bytes, tuple[int, int]] = {}

    def declared(self, record: bytes) -> bytes:
        """Return the record behind the declarations that it needs; ``record`` itself if it needs none.

        Raises:
            DocumentError: it refers to an entity that is in another file, or its entities contain themselves
                or would add too much.
        """
        found = _references(record)
        if not found:
            return record
        texts = self._texts = self._read() if self._texts is None else self._texts
        used = {name: count for name, count in found.items() if name in texts}
        if self._fault and len(used) < len(found):
            message = f"it uses an entity, and the declarations of its file cannot be read: {self._fault}"
            raise DocumentError(message)
        self._check(record, sum(count * self._size(name)[0] for name, count in used.items()))
        return self._prefix(used, texts) + record if used else record

    def _check(self, record: bytes, added: int) -> None:
        allowed = min(_FREE + _TIMES * len(record), MAX_ADDED)
        if added > allowed:
            message = (
                f"its entities would add {added:,} bytes to its {len(record):,}, more than the {allowed:,} "
                "that a record of its size may get"
            )
            raise DocumentError(message)

    def _size(self, name: bytes) -> tuple[int, int]:
        """Return how long the text of an entity is at most, and how deep entities are nested in it."""
        return self._measured(name, 1)

    def _measured(self, name: bytes, depth: int) -> tuple[int, int]:
        known = self._sizes.get(name)
        if depth + (known[1] if known else 0) > _MAX_DEPTH:
            message = f"its entities contain each other more than {_MAX_DEPTH} deep, or themselves"
            raise DocumentError(message)
        if known is None:
            text = self._text(name)
            inside = self._inside(text)
            sizes = [(count, *self._measured(one, depth + 1)) for one, count in inside.items()]
            size = len(text) + sum(count * size for count, size, _ in sizes)
            known = self._sizes[name] = size, max((below + 1 for _, _, below in sizes), default=0)
        return known

    def _text(self, name: bytes) -> bytes:
        text = (self._texts or {})[name]
        if text is None:
            message = f"its entity &{name.decode()}; is in another file, and other files are not read"
            raise DocumentError(message)
        return text

    def _inside(self, text: bytes) -> Mapping[bytes, int]:
        return {name: count for name, count in _references(text).items() if name in (self._texts or {})}

    def _prefix(self, used: Mapping[bytes, int], texts: Mapping[bytes, bytes | None]) -> bytes:
        """Return a document type with ``used`` and the entities in them."""
        wanted, todo = set(used), list(used)
        while todo:
            new = self._inside(self._text(todo.pop())).keys() - wanted
            wanted |= new
            todo += new
        lines = [
            b'<!ENTITY %s "%s">' % (name, (texts[name] or b"").decode().translate(_ESCAPES).encode())
            for name in sorted(wanted)
        ]
        return _DOCTYPE + b"".join(lines) + b"]>"

    def _read(self) -> dict[bytes, bytes | None]:
        """Return the texts of the entities by name; ``None`` is the text of one in another file."""
        texts: dict[bytes, bytes | None] = {}

        def declare(name: str, parameter: int, text: str | None, *_elsewhere: object) -> None:
            if not parameter and name.encode() not in _STANDARD:  # the first declaration counts
                texts.setdefault(name.encode(), None if text is None else text.encode())

        parser = expat.ParserCreate("utf-8")
        if expat.version_info >= _BOUNDED:
            parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)
        parser.EntityDeclHandler = declare
        try:
            parser.Parse(_DOCTYPE + self._subset + b"]><_/>", True)
        except expat.ExpatError as error:
            self._fault = expat.ErrorString(error.code)
        return texts


def _references(text: bytes) -> Mapping[bytes, int]:
    """Return the entities that ``text`` refers to, except the standard ones, and how often."""
    if b"&" not in text:
        return {}
    if b"<!" in text or b"<?" in text:
        text = _OPAQUE.sub(b"", text)
    found = Counter(_REFERENCE.findall(text))
    return {name: count for name, count in found.items() if name not in _STANDARD}


def without_declarations(data: bytes) -> tuple[bytes, bytes]:
    """Return the declarations in front of a record, ``b""`` if there are none, and the record."""
    match = _DECLARATIONS.match(data)
    return (data[: match.end()], data[match.end() :]) if match else (b"", data)
