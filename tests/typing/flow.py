"""What the type checkers must infer about a flow, its runs and its terminals; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, assert_type

import aioreactive as rx
import polars as pl

from penstock import (
    Document,
    Flow,
    IngestionPipeline,
    Order,
    PipelineEvent,
    Position,
    Statistics,
    Subscription,
)
from penstock.adapters import pubmed
from penstock.ingest.into import Delivered
from penstock.pipeline import IngestionResult, RunSummary
from penstock.sinks import JsonLinesSink


async def run(flow: Flow[int], position: Position) -> None:
    """A subscription gives lists of the flow's items."""
    async with flow.subscribe() as subscription:
        assert_type(subscription, Subscription[int])
        while items := await subscription.request(10):
            assert_type(items, list[int])
        assert_type(subscription.position, Position)
        assert_type(subscription.statistics(), Statistics)
        assert_type(await subscription.settle(), None)
        assert_type(await subscription.drain(), None)
    assert_type(flow.subscribe(position), Subscription[int])
    async for item in flow:
        assert_type(item, int)
    assert_type(flow.requesting(5), AsyncGenerator[int, None])


async def terminals(flow: Flow[int], documents: Flow[Document], sink: JsonLinesSink) -> None:
    """A default widens the type; without one there is an item or an exception."""
    assert_type(await flow.to_list(), list[int])
    assert_type(await flow.first(), int)
    assert_type(await flow.first(None), int | None)
    assert_type(await flow.last(), int)
    assert_type(await flow.last("none"), int | str)
    assert_type(await flow.count(), int)
    assert_type(await flow.reduce(lambda total, x: total + x, 0.0), float)
    assert_type(await flow.reduce(max), int)
    assert_type(await flow.single(), int)
    assert_type(await flow.single(None), int | None)
    assert_type(await flow.head(3), list[int])
    assert_type(await flow.to_polars(), pl.DataFrame)
    assert_type(await flow.any(lambda x: x > 3), bool)
    assert_type(await flow.all(), bool)
    assert_type(await flow.min(), int)
    assert_type(await flow.max(lambda x: -x, default=None), int | None)
    assert_type(await flow.sum(), int)
    assert_type(await flow.sum(0.5), int | float)
    assert_type(await flow.to_set(), set[int])
    assert_type(await flow.to_dict(str), dict[str, int])
    assert_type(await flow.to_dict(str, lambda x: x / 2), dict[str, float])
    assert_type(await flow.for_each(lambda x: x.bit_length()), None)
    assert_type(await flow.run(), None)
    assert_type(await documents.into(sink), Delivered)


def promises(flow: Flow[bool]) -> None:
    """A flow is covariant, an aioreactive observable, and says what it promises."""
    wider: Flow[int] = flow
    observable: rx.AsyncObservable[bool] = flow
    del wider, observable
    assert_type(flow.order, Order)
    assert_type(flow.resumable, bool)
    assert_type(flow.max_in_flight(3), float)


async def ingestion() -> None:
    """The five calls."""
    pipeline = IngestionPipeline(
        pubmed("a.xml"), ledger="run.db", where=lambda document: bool(document.title)
    )
    async for event in pipeline.stream_events():
        assert_type(event, PipelineEvent)
    async for document in pipeline.iter_results():
        assert_type(document, Document)
        assert_type(document.metadata, dict[str, Any])
    assert_type(await pipeline.run_async(), IngestionResult)
    assert_type(await pipeline.run(sink="out.jsonl"), RunSummary)
    assert_type(await pipeline.run_async_legacy(), list[str])
