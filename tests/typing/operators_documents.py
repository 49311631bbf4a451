"""What the type checkers must infer about operators of the event stage; checked, never run."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

import penstock.operators as op
from penstock import Document, Flow, PipelineEvent
from penstock.adapters import pubmed
from penstock.ledger import SqliteLedger


def recent(document: Document) -> bool:
    return document.version == "2"


def by_methods(events: Flow[PipelineEvent]) -> None:
    """They take documents and leave a flow of events one of events."""
    assert_type(events.where(lambda document: document.title), Flow[PipelineEvent])
    assert_type(events.batch_progress(100), Flow[PipelineEvent])
    assert_type(pubmed("a.xml").where(recent), Flow[PipelineEvent])


def by_operators(events: Flow[PipelineEvent]) -> None:
    """The chain of the front page."""
    assert_type(events | op.where(recent), Flow[PipelineEvent])
    assert_type(events | op.batch_progress(every=100, checkpoint_every=1000), Flow[PipelineEvent])
    chain = pubmed("*.xml.gz") | op.retry(attempts=5) | op.where(recent) | op.batch_progress()
    assert_type(chain, Flow[PipelineEvent])


def letters(events: Flow[PipelineEvent], ledger: SqliteLedger) -> None:
    """Dead letters leave the events as they are."""
    assert_type(events.dead_letters(ledger), Flow[PipelineEvent])
    assert_type(events | op.dead_letters(ledger, key="a"), Flow[PipelineEvent])


def refused(events: Flow[PipelineEvent]) -> None:
    """A function of events is no function of documents."""

    def late(event: PipelineEvent) -> bool:
        return event.timestamp > 0

    events.where(late)  # type: ignore[arg-type]
    op.where(late)  # type: ignore[arg-type]
