"""The operators ``decode`` and ``lines``, which turn chunks of bytes into text."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.elements.stateful import Stateful
from penstock.runtime.arguments import at, flag_for, positive, text_for

if TYPE_CHECKING:
    from penstock.flow import Flow

Bytes = tuple[str, int]
"""The state of a decoder: the bytes of an unfinished character as hexadecimal digits, and its flags."""


def decode(encoding: str = "utf-8", errors: str = "strict") -> Callable[[Flow[bytes]], Flow[str]]:
    """Decode chunks of bytes into pieces of text; a character may be split across chunks.

    A piece is never empty. A position holds the bytes of an unfinished character. An unfinished character at
    the end is treated as ``errors`` says.

    Args:
        encoding: An encoding of the standard library.
        errors: What happens to bytes that cannot be decoded: ``"strict"``, ``"replace"``, ``"ignore"``, or
            another error handler of ``codecs``.
    """
    decoder = _Decoder("decode", encoding, errors)
    return attach(
        lambda node: Decode(
            inputs=(node,), function=decoder.step, begin=list(decoder.first), finish=decoder.finish
        )
    )


def lines(
    encoding: str = "utf-8",
    errors: str = "strict",
    *,
    separator: str | None = None,
    keepends: bool = False,
    max_length: int | None = None,
) -> Callable[[Flow[bytes | str]], Flow[str]]:
    r"""Yield the lines of chunks of bytes, or of pieces of text; a line may be split across chunks.

    A line ends with ``\n`` or ``\r\n``, or with ``separator`` if it is given. The other line ends of
    ``str.splitlines`` are ordinary characters, because formats such as JSON Lines allow them within a line.
    As there, no empty line follows a line end at the very end. A position holds the beginning of the
    unfinished line.

    Args:
        encoding: An encoding of the standard library; it is not used for pieces of text.
        errors: What happens to bytes that cannot be decoded; see ``decode``.
        separator: The text that ends a line, of one character or several, such as ``";"`` or ``"\0"``. It may
            be split across chunks too. ``None`` stands for ``\n`` and ``\r\n``.
        keepends: Whether lines keep their line ends.
        max_length: The most characters of a line, without its end; a longer one is a ``ValueError``. Set it
            if the bytes are not trusted: without it, a line may fill the memory. ``None`` sets no limit.
    """
    flag_for("lines", keepends=keepends)
    text_for("lines", "separator", separator, optional=True)
    if max_length is not None:
        positive("lines", "max_length", max_length)
    decoder = _Decoder("lines", encoding, errors)
    splitter = _Splitter(decoder, separator, keepends=keepends, max_length=max_length)
    return attach(
        lambda node: Lines(
            inputs=(node,), function=splitter.step, begin=splitter.first(), finish=splitter.finish
        )
    )


class Decode(Stateful):
    """Decodes chunks of bytes."""

    operator = "decode"


class Lines(Stateful):
    """Yields the lines of chunks of bytes."""

    operator = "lines"


class _Decoder:
    """A step and a finish for ``stateful`` that decode."""

    def __init__(self, operator: str, encoding: str, errors: str) -> None:
        self._operator = operator
        self._errors = errors
        try:
            codecs.lookup_error(errors)
            self._make = codecs.getincrementaldecoder(encoding)
            self._make(errors).decode(b"", final=True).encode("ascii")
        except (LookupError, TypeError, AttributeError, ValueError):
            msg = (
                f"{operator}({encoding!r}, {errors!r}){at()}: not the names of a text encoding "
                "and of an error handler that Python can decode in parts"
            )
            raise GraphError(msg) from None
        pending, flags = self._make(errors).getstate()
        self.first: Bytes = (pending.hex(), flags)

    def text(self, state: Any, chunk: bytes, *, final: bool = False) -> tuple[Bytes, str]:
        """Return the next state, and the text of ``chunk``."""
        if isinstance(chunk, str):
            msg = f"{self._operator} expected bytes, but this item is str; it is decoded already"
            raise TypeError(msg)
        decoder = self._make(self._errors)
        decoder.setstate((bytes.fromhex(state[0]), state[1]))
        text = decoder.decode(chunk, final)
        pending, flags = decoder.getstate()
        return (pending.hex(), flags), text

    def step(self, state: Any, chunk: bytes) -> tuple[list[Any], list[str]]:
        after, text = self.text(state, chunk)
        return list(after), [text] if text else []

    def finish(self, state: Any) -> list[str]:
        _, text = self.text(state, b"", final=True)
        return [text] if text else []


class _Splitter:
    """A step and a finish for ``stateful`` that split into lines.

    The state is that of the decoder, and the pieces of the unfinished line. Each piece is longer than the
    one behind it, so there are few, and joining them does not take time that grows with the square. If the
    separator has several characters, there is one piece more: the end, where a separator may have begun.
    """

    def __init__(
        self, decoder: _Decoder, separator: str | None, *, keepends: bool, max_length: int | None
    ) -> None:
        self._decoder = decoder
        self._separator = separator or "\n"
        self._returns = "" if separator else "\r"
        self._overlap = len(self._separator) - 1
        begun = [self._separator[:end] for end in range(self._overlap, 0, -1)]
        self._halves = begun if separator else ["\r"]  # what may be the beginning of a line end
        self._keepends = keepends
        self._max_length = max_length

    def first(self) -> list[Any]:
        return [*self._decoder.first, []]

    def step(self, state: Any, chunk: bytes | str) -> tuple[list[Any], Iterable[str]]:
        pending, flags, pieces = state
        if isinstance(chunk, str):
            text = chunk
        else:
            (pending, flags), text = self._decoder.text(state, chunk)
        if self._overlap and pieces:
            *pieces, tail = pieces
            text = tail + text
        *ended, rest = text.split(self._separator)
        if ended:
            ended[0] = "".join((*pieces, ended[0]))
            pieces = []
        whole = max(0, len(rest) - self._overlap)
        kept = _grown(pieces, rest[:whole])
        if whole < len(rest):
            kept.append(rest[whole:])
        return [pending, flags, kept], self._checked(ended, kept)

    def finish(self, state: Any) -> Iterable[str]:
        _, text = self._decoder.text(state, b"", final=True)
        *ended, rest = "".join((*state[2], text)).split(self._separator)
        yield from self._checked(ended, [rest])
        if rest:
            yield rest

    def _checked(self, ended: Iterable[str], pieces: list[str]) -> Iterator[str]:
        """Yield the lines; raise an error in place of one that is too long, also of the unfinished one."""
        for line in ended:
            bare = line.removesuffix(self._returns)
            self._measure(len(bare))
            yield line + self._separator if self._keepends else bare
        begun = (half for half in self._halves if pieces and pieces[-1].endswith(half))
        self._measure(sum(map(len, pieces)) - len(next(begun, "")))

    def _measure(self, length: int) -> None:
        if self._max_length is not None and length > self._max_length:
            msg = f"a line is longer than lines(max_length={self._max_length}) allows"
            raise ValueError(msg)


def _grown(pieces: list[str], text: str) -> list[str]:
    """Return ``pieces`` with one more; joins those that are not longer than what follows them."""
    kept = [*pieces]
    while kept and len(kept[-1]) <= len(text):
        text = kept.pop() + text
    return [*kept, text] if text else kept
