"""What the type checkers must infer about operators that join flows; checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

import penstock.operators as op
from penstock import Flow


def joined(n: Flow[int], m: Flow[int], s: Flow[str]) -> None:
    assert_type(n.pause_when(s.map(bool)), Flow[int])
    assert_type(n | op.pause_when(s.map(bool)), Flow[int])
    assert_type(n.concat(m), Flow[int])
    assert_type(n.merge(m, m, concurrency=2, delay_errors=True), Flow[int])
    assert_type(n.interleave(m), Flow[int])
    assert_type(n.merge_sorted(m, key=lambda x: -x), Flow[int])
    assert_type(n.race(m, m), Flow[int])
    assert_type(n.sequence_equal(s), Flow[bool])
    assert_type(n.sequence_equal(s, lambda x, y: str(x) == y), Flow[bool])
    assert_type(n | op.concat(m, m), Flow[int])
    assert_type(n | op.merge(m), Flow[int])
    assert_type(n | op.interleave(m), Flow[int])
    assert_type(n | op.merge_sorted(m), Flow[int])
    assert_type(n | op.race(m), Flow[int])
    assert_type(n | op.sequence_equal(m), Flow[bool])


def joined_with_others(n: Flow[int], s: Flow[str], numbers: list[int]) -> None:
    """Operators that join flows take iterables and async iterables, too."""
    assert_type(n.concat(numbers), Flow[int])
    assert_type(n.merge(range(3), n.map(abs)), Flow[int])
    assert_type(n | op.interleave(numbers), Flow[int])
    assert_type(n.merge_sorted(numbers), Flow[int])
    assert_type(n.race(numbers), Flow[int])
    assert_type(s.zip(numbers), Flow[tuple[str, int]])
    assert_type(s.zip_longest(numbers), Flow[tuple[str | None, int | None]])
    assert_type(s.combine_latest(numbers), Flow[tuple[str, int]])
    assert_type(s.with_latest_from(numbers), Flow[tuple[str, int]])
    assert_type(n.sequence_equal(numbers), Flow[bool])
    assert_type(n.pause_when([True]), Flow[int])


def flattened(n: Flow[int], s: Flow[str]) -> None:
    assert_type(n.concat_map(lambda x: s.take(x).skip(1)), Flow[str])
    assert_type(n.flat_map_merge(lambda x: s.take(x).skip(1), 4), Flow[str])
    assert_type(n.switch_map(lambda x: s.take(x).skip(1), order="interleaved"), Flow[str])
    assert_type(n.concat_map(lambda x: s.take(x).skip(1), concurrency=4), Flow[str])
    assert_type(n.exhaust_map(lambda x: s.take(x).skip(1)), Flow[str])
    assert_type(n | op.concat_map(s.take), Flow[str])
    assert_type(n | op.exhaust_map(s.take, order="interleaved"), Flow[str])
    assert_type(n | op.flat_map_merge(s.take), Flow[str])
    assert_type(n | op.switch_map(s.take), Flow[str])


def zipped(n: Flow[int], s: Flow[str], b: Flow[bytes]) -> None:
    assert_type(n.zip(), Flow[tuple[int]])
    assert_type(n.zip(s), Flow[tuple[int, str]])
    assert_type(n.zip(s, b, strict=True), Flow[tuple[int, str, bytes]])
    assert_type(n.zip(s, b, n), Flow[tuple[int, str, bytes, int]])
    assert_type(n.zip(s, b, n, s), Flow[tuple[int, str, bytes, int, str]])
    assert_type(n.zip(s, b, n, s, b), Flow[tuple[Any, ...]])
    assert_type(n | op.zip(s), Flow[tuple[int, str]])
    assert_type(n | op.zip(s, b, strict=True), Flow[tuple[int, str, bytes]])
    assert_type(n.zip_longest(s), Flow[tuple[int | None, str | None]])
    assert_type(n.zip_longest(s, fillvalue=b""), Flow[tuple[int | bytes, str | bytes]])
    assert_type(n.zip_longest(s, b, fillvalue=0), Flow[tuple[int, str | int, bytes | int]])
    assert_type(n.zip_longest(s, b, n), Flow[tuple[Any, ...]])
    assert_type(n | op.zip_longest(s, b), Flow[tuple[int | None, str | None, bytes | None]])
    assert_type(n.zip(s).starmap(lambda x, y: y * x), Flow[str])


def latest(n: Flow[int], s: Flow[str], b: Flow[bytes]) -> None:
    assert_type(n.combine_latest(s), Flow[tuple[int, str]])
    assert_type(n.combine_latest(s, b), Flow[tuple[int, str, bytes]])
    assert_type(n | op.combine_latest(s, b, n, s), Flow[tuple[int, str, bytes, int, str]])
    assert_type(n.with_latest_from(s), Flow[tuple[int, str]])
    assert_type(n | op.with_latest_from(s, b), Flow[tuple[int, str, bytes]])
    assert_type(n.zip_latest(s), Flow[tuple[int | None, str | None]])
    assert_type(n.zip_latest(s, default=0.5), Flow[tuple[int | float, str | float]])
    assert_type(n | op.zip_latest(s), Flow[tuple[int | None, str | None]])
    assert_type(n.zip_latest(s, b), Flow[tuple[Any, ...]])
