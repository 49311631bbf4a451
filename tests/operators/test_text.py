"""``decode`` and ``lines`` compared with the standard library, for any chunks."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.testing import run

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "latin-1", "shift_jis", "iso2022_jp", "utf-7"]

TEXT = st.text(st.sampled_from("aé\n\r€あ𝄞\u2028\t"), max_size=12)

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return chunks of these sizes, in turn."""
    chunks = []
    while data:
        sizes = [*sizes[1:], sizes[0]]
        chunks.append(data[: sizes[0]])
        data = data[sizes[0] :]
    return chunks


async def in_parts(flow: Any) -> list[Any]:
    """Return the items of runs that are closed after each item and resumed from a stored position."""
    out: list[Any] = []
    position = None
    while True:
        async with flow.subscribe(position) as subscription:
            items = await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        if not items:
            return out
        out += items


@given(TEXT, SIZES, st.sampled_from(ENCODINGS))
def test_decoded_is_what_python_decodes(text: str, sizes: list[int], encoding: str) -> None:
    """Characters may be split anywhere, and the run may be resumed anywhere."""
    data = text.encode(encoding, "replace")
    flow = ps.from_iterable(cut(data, sizes)) | op.decode(encoding)
    pieces = run(flow.to_list())
    assert "".join(pieces) == data.decode(encoding)
    assert "" not in pieces
    assert run(in_parts(flow)) == pieces


@given(st.binary(max_size=12), SIZES, st.sampled_from(["replace", "ignore", "backslashreplace"]))
def test_bytes_that_cannot_be_decoded(data: bytes, sizes: list[int], errors: str) -> None:
    """Broken bytes give what they give in one piece, also at the end."""
    pieces = run((ps.from_iterable(cut(data, sizes)) | op.decode(errors=errors)).to_list())
    assert "".join(pieces) == data.decode("utf-8", errors)


@given(TEXT, SIZES, st.booleans(), st.sampled_from(["utf-8", "utf-16", "str"]))
def test_lines_are_those_of_a_file(text: str, sizes: list[int], keepends: bool, encoding: str) -> None:
    r"""Lines are those of a file that ends lines at ``\n``, without ``\r`` in front of it."""
    chunks: list[Any] = cut(text.encode("utf-16-le"), [2 * size for size in sizes])
    if encoding == "str":
        chunks = [chunk.decode("utf-16-le", "replace") for chunk in chunks]
        text = "".join(chunks)
    else:
        chunks = cut(text.encode(encoding), sizes)
    wanted = list(io.StringIO(text, newline="\n"))
    if not keepends:
        wanted = [line[:-1].removesuffix("\r") if line.endswith("\n") else line for line in wanted]
    flow = ps.from_iterable(chunks) | op.lines("utf-8" if encoding == "str" else encoding, keepends=keepends)
    assert run(flow.to_list()) == wanted
    assert run(in_parts(flow)) == wanted


@given(st.text("ab;\r\n", max_size=16), SIZES, st.text("ab;\n", min_size=1, max_size=3), st.booleans())
def test_lines_end_with_a_separator_of_ones_own(
    text: str, sizes: list[int], separator: str, keepends: bool
) -> None:
    """It may have several characters, overlap itself and be split; the oracle is ``str.split``."""
    *ended, rest = text.split(separator)
    wanted = [line + separator * keepends for line in ended] + [rest] * bool(rest)
    flow = ps.from_iterable(cut(text.encode(), sizes)).lines(separator=separator, keepends=keepends)
    assert run(flow.to_list()) == wanted
    assert run(in_parts(flow)) == wanted


@given(TEXT, SIZES, st.integers(1, 4))
def test_a_line_that_is_too_long_is_an_error_behind_the_lines_before(
    text: str, sizes: list[int], limit: int
) -> None:
    """Line ends do not count, and a line need not end to be too long."""
    assume(not text.endswith("\r"))  # half a line end, or a part of the last line
    whole = [line.removesuffix("\r") for line in text.split("\n")]
    fine = [line for k, line in enumerate(whole) if all(len(one) <= limit for one in whole[: k + 1])]
    out: list[str] = []
    flow = ps.from_iterable(cut(text.encode(), sizes)) | op.lines(max_length=limit)
    if len(fine) < len(whole):
        with pytest.raises(ValueError, match=rf"longer than lines\(max_length={limit}\)"):
            run(flow.for_each(out.append))
        assert out == fine
    else:
        run(flow.for_each(out.append))
        assert out == (fine if whole[-1] else fine[:-1])


def test_the_beginning_of_a_separator_does_not_count() -> None:
    """A line of the greatest length is fine, wherever its separator is split."""
    for sizes in ([1], [2], [3], [4]):
        flow = ps.from_iterable(cut(b"ab--cd--", sizes)).lines(separator="--", max_length=2)
        assert run(flow.to_list()) == ["ab", "cd"]


def test_a_long_line_of_many_chunks_has_a_small_position() -> None:
    """The pieces of an unfinished line are joined now and then, so a position has few of them."""

    async def main() -> None:
        flow = ps.from_iterable([b"x" * 10] * 1000 + [b"\n", b"y\n"]) | op.lines()
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == ["x" * 10_000]
        flow = ps.from_iterable([b"a\n", *[b"x" * 10] * 1000]) | op.lines()
        async with flow.subscribe() as subscription:
            await subscription.request(1)
            assert await subscription.request(1) == ["x" * 10_000]
            _, _, pieces = subscription.position["nodes"]["lines#1"][0]
        assert len(pieces) < 12

    run(main())


def test_wrong_items_are_a_type_error() -> None:
    """Text cannot be decoded again; numbers are neither text nor bytes."""
    with pytest.raises(TypeError, match="decode expected bytes, but this item is str"):
        run(ps.just("a").decode().to_list())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        run(ps.just(3).lines().to_list())  # type: ignore[arg-type]


@pytest.mark.parametrize("operator", [op.decode, op.lines])
@pytest.mark.parametrize(
    "arguments", [("utf-9",), ("hex",), ("rot13",), ("undefined",), ("utf-8", "loud"), (8,), ("utf-8", None)]
)
def test_unknown_encodings_are_refused(operator: Any, arguments: tuple[Any, ...]) -> None:
    """The graph is not built with an encoding that is unknown, or none of text."""
    with pytest.raises(GraphError, match="not the names of a text encoding"):
        operator(*arguments)


def test_a_length_must_be_a_number() -> None:
    """It is at least 1."""
    with pytest.raises(GraphError, match="max_length must be"):
        op.lines(max_length=0)


def test_a_separator_must_be_a_text() -> None:
    """It has at least one character."""
    for wrong in ("", b";", 1):
        with pytest.raises(GraphError, match="separator must be a string, not empty"):
            op.lines(separator=wrong)  # type: ignore[arg-type]
