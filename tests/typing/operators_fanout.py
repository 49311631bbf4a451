"""What the type checkers must infer about hot flows; checked, never run."""

from __future__ import annotations

from typing import assert_type

import penstock as ps
import penstock.operators as op
from penstock import Connectable, Flow, GroupedFlow
from penstock.operators.fanout.publish import Connection

numbers: Flow[int] = ps.from_iterable([1, 2, 3])


def functions() -> None:
    assert_type(numbers | op.buffer(3, "latest"), Flow[int])
    assert_type(numbers | op.prefetch(3), Flow[int])
    assert_type(numbers | op.limit_demand(5, 2), Flow[int])
    assert_type(numbers | op.broadcast(2), tuple[Flow[int], ...])
    assert_type(numbers | op.share(), Flow[int])
    assert_type(numbers | op.replay(3), Flow[int])
    assert_type(numbers | op.publish(), Connectable[int])
    assert_type(op.partition(str.isupper)(ps.just("a")), tuple[Flow[str], Flow[str]])
    assert_type(op.partition_by(str.upper, 2)(ps.just("a")), tuple[Flow[str], ...])


def methods() -> None:
    first, second = numbers.broadcast(2, overflow="drop_oldest")
    assert_type(first, Flow[int])
    assert_type(second.map(str), Flow[str])
    yes, no = numbers.partition(lambda n: n % 2)
    assert_type(yes.merge(no), Flow[int])
    assert_type(numbers.partition_by(lambda n: n % 3, 3), tuple[Flow[int], ...])
    assert_type(numbers.share(capacity=3).map(str), Flow[str])
    assert_type(numbers.replay(2), Flow[int])
    assert_type(numbers.buffer(2, overflow="error"), Flow[int])


async def connected() -> None:
    flow = numbers.publish(replay=1)
    assert_type(flow, Connectable[int])
    assert_type(flow.connect(), Connection)
    async with flow.connect() as connection:
        assert_type(connection, Connection)
        assert_type(await flow.to_list(), list[int])


async def nested() -> None:
    groups = numbers.group_by(lambda n: str(n % 3))
    assert_type(groups, Flow[GroupedFlow[str, int]])
    assert_type(groups.map(lambda group: group.key), Flow[str])
    async for group in groups:
        assert_type(group.key, str)
        assert_type(await group.to_list(), list[int])
    assert_type(op.group_by(str.upper)(ps.just("a")), Flow[GroupedFlow[str, str]])
    assert_type(numbers.cache(60), Flow[int])
    assert_type(numbers | op.cache(limit=9), Flow[int])
    assert_type(numbers.window(3), Flow[Flow[int]])
    assert_type(numbers | op.window(3), Flow[Flow[int]])
    assert_type(numbers.window(within=5), Flow[Flow[int]])
