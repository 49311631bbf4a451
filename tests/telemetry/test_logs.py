"""Events in the log: levels, fields, and who gets them."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest
import structlog

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError, MissingExtra
from penstock.sinks import MemorySink
from penstock.telemetry import EventLog
from penstock.testing import run as virtually

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

LEVELS = {
    "document_started": "DEBUG",
    "document_completed": "DEBUG",
    "document_failed": "WARNING",
    "batch_progress": "INFO",
    "adapter_state_change": "INFO",
}


def logged(log: EventLog) -> int:
    """Run three documents of which one fails; return how many events there were."""
    seen: list[object] = []
    source = ScriptedSource([Record(), Record("bad"), Record()])
    asyncio.run(IngestionPipeline(Adapter(source), hooks=[log, seen.extend]).run(MemorySink()))
    assert (log.failures, log.dropped) == (0, 0)
    return len(seen)


def test_each_event_is_a_record_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Every event is logged at its level, with its fields and without the document."""
    with caplog.at_level(logging.DEBUG, "penstock.events"):
        count = logged(EventLog())
    assert len(caplog.records) == count
    kinds = {vars(record)["event"]: record for record in caplog.records}
    assert {kind: record.levelname for kind, record in kinds.items()} == LEVELS
    failed = kinds["document_failed"]
    assert (failed.doc_id, failed.adapter, failed.will_retry) == ("d1", "scripted", False)
    assert "d1 failed" in failed.message
    assert not any(hasattr(record, "document") for record in caplog.records)


def test_a_logger_gets_only_what_it_wants(caplog: pytest.LogCaptureFixture) -> None:
    """Events below the level of the logger do not even enter the queue."""
    log = EventLog(logging.getLogger("mine"), queue=1)
    with caplog.at_level(logging.WARNING, "mine"):
        logged(log)
    assert [vars(record)["event"] for record in caplog.records] == ["document_failed"]
    assert log.delivered == 1


def test_structlog_gets_events_as_keys() -> None:
    """With ``structlog=True``, or a logger of it, each event is an event of structlog."""
    with structlog.testing.capture_logs() as entries:
        count = logged(EventLog(structlog=True))
    assert len(entries) == count
    assert {entry["event"]: entry["log_level"].upper() for entry in entries} == LEVELS
    with structlog.testing.capture_logs() as again:
        logged(EventLog(structlog.get_logger().bind(job="nightly")))
    assert {entry["job"] for entry in again} == {"nightly"}


def test_a_handler_that_fails_ends_no_run(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of a handler is a failure of the hook."""

    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("the log server is gone")

    logger = logging.getLogger("broken")
    monkeypatch.setattr(logger, "level", logging.INFO)
    monkeypatch.setattr(logger, "handlers", [Broken()])
    log = EventLog(logger)
    pipeline = IngestionPipeline(Adapter(ScriptedSource([Record()])), hooks=[log])
    assert virtually(pipeline.run(MemorySink())).counts["completed"] == 1
    assert log.failures > 0
    assert any("failed" in record.message for record in caplog.records)


def test_mistakes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger must be one, and a missing library names its command."""
    with pytest.raises(GraphError, match="a logger"):
        EventLog(3)
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(MissingExtra, match=r"\[structlog\]"):
        EventLog(structlog=True)
