"""What the type checkers must infer about operators for what goes wrong; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import assert_type

from expression import Nothing, Option, Some

import penstock.operators as op
from penstock import DeadLetters, Flow, RetryPolicy, Skipped, just, using


def or_none(error: Exception) -> Option[str]:
    return Some(str(error)) if isinstance(error, ValueError) else Nothing


def text(error: Exception) -> str:
    return str(error)


def instead(error: Exception) -> Flow[str]:
    return just(str(error))


def methods(flow: Flow[int]) -> None:
    assert_type(flow.retry(RetryPolicy(budget=3.0, retry_when=lambda error, attempt: 1.0)), Flow[int])
    assert_type(flow.retry(attempts=3, budget=10), Flow[int])
    assert_type(flow.retry(RetryPolicy(retry_on=(KeyError, OSError))), Flow[int])
    assert_type(flow.recover(text), Flow[int | str])
    assert_type(flow.recover(or_none), Flow[int | str])
    assert_type(flow.recover(lambda error: len(error.args)), Flow[int])
    assert_type(flow.on_error_resume(instead), Flow[int | str])
    assert_type(flow.on_error_resume(lambda error: flow), Flow[int])
    assert_type(flow.on_error_skip(lambda error, item: None, limit=3), Flow[int])
    assert_type(flow.on_error_skip(DeadLetters(10)), Flow[int])
    assert_type(flow.on_error_skip(print, errors=(ValueError, KeyError)), Flow[int])
    assert_type(flow.on_error_replace(None), Flow[int | None])
    assert_type(flow.on_error_replace(by=lambda error, item: "bad", errors=ValueError), Flow[int | str])
    assert_type(flow.on_error_replace(0, limit=3), Flow[int])
    assert_type(flow.map_error(lambda error: RuntimeError(*error.args)), Flow[int])
    assert_type(flow.tap_error(lambda error: error.args), Flow[int])
    assert_type(flow.log("rows", "DEBUG", every=10, limit=3), Flow[int])
    assert_type(flow.circuit_breaker(3, 10, counts=lambda error: True), Flow[int])
    assert_type(flow.repeat(3).repeat(), Flow[int])
    assert_type(flow.repeat(every=5, until=lambda x: x > 3), Flow[int])
    assert_type(flow.finally_do(lambda ending: ending == "failed"), Flow[int])


async def letters(failures: DeadLetters) -> None:
    assert_type(await failures.first(), Skipped)
    async for failure in failures:
        assert_type(failure, Skipped)
        assert_type(failure.error, Exception)


@contextmanager
def plain() -> Iterator[bytes]:
    yield b""


@asynccontextmanager
async def waiting() -> AsyncIterator[bytes]:
    yield b""


async def connect() -> bytes:
    return b""


def rows(resource: bytes) -> Flow[int]:
    return just(len(resource))


def resources() -> None:
    assert_type(using(plain, rows), Flow[int])
    assert_type(using(waiting, rows), Flow[int])
    assert_type(using(connect, rows, print), Flow[int])
    assert_type(using(lambda: b"", rows, lambda resource: resource.hex()), Flow[int])


def functions(flow: Flow[int]) -> None:
    assert_type(flow | op.retry(), Flow[int])
    assert_type(flow | op.recover(text), Flow[int | str])
    assert_type(flow | op.recover(or_none), Flow[int | str])
    assert_type(flow | op.on_error_resume(instead), Flow[int | str])
    assert_type(flow | op.on_error_skip(print, limit=3), Flow[int])
    assert_type(flow | op.on_error_skip(print, errors=ValueError), Flow[int])
    assert_type(flow | op.on_error_replace("bad"), Flow[int | str])
    assert_type(flow | op.map_error(lambda error: RuntimeError(*error.args)), Flow[int])
    assert_type(flow | op.tap_error(print), Flow[int])
    assert_type(flow | op.log(), Flow[int])
    assert_type(flow | op.circuit_breaker(), Flow[int])
    assert_type(flow | op.repeat(2), Flow[int])
    assert_type(flow | op.finally_do(print), Flow[int])
