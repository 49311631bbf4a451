"""What a source tells while it fetches: notices, and what a retry waits for."""

from __future__ import annotations

import asyncio
from collections import deque

import httpx2
import pytest
from expression import Ok

from penstock import Document, Page, RawRecord
from penstock.abc import Source, announce
from penstock.adapters import Adapter
from penstock.adapters.http import HttpClient
from penstock.documents.settings import Settings
from penstock.events import AdapterStateChange, DocumentStarted
from penstock.flow import Flow
from penstock.runtime.policy import RetryPolicy
from penstock.testing import run

REPLIES: deque[httpx2.Response] = deque()
LIMITS: dict[str, float] = {}
TIMES: list[float] = []


def reply(request: httpx2.Request) -> httpx2.Response:
    TIMES.append(asyncio.get_running_loop().time())
    return REPLIES.popleft() if REPLIES else httpx2.Response(200, json={})


class Polite(Source):
    """Three pages of two records, each after a request to a server."""

    name = "polite"

    def __init__(self, notices: int = 0) -> None:
        self.notices = notices

    async def fetch(self, position):
        async with HttpClient(transport=httpx2.MockTransport(reply), rate=LIMITS) as http:
            for number in range(position or 0, 3):
                await http.get("https://example.org/page")
                for notice in range(self.notices):
                    announce(f"notice {notice} of page {number}; password=geheim")
                yield Page([RawRecord(f"{number}.{k}", b"") for k in range(2)], position=number + 1)
            announce("the end")

    def identify(self, raw):
        return raw.key

    def parse(self, raw):
        return Ok(Document(doc_id=raw.key, source=self.name))


def told(source=None, *, rate=None, replies=(), processes=1, **settings) -> list[str]:
    """Return each start of a document and each change of state, in the order of a run in virtual time."""
    REPLIES.clear()
    REPLIES.extend(replies)
    TIMES.clear()
    LIMITS.clear()
    LIMITS["example.org"] = rate or 1e9
    adapter = Adapter(source or Polite(), page_size=2, processes=processes)
    events = run(Flow(adapter.events(Settings(pipeline_id="p", **settings))).to_list())
    return [
        event.doc_id if isinstance(event, DocumentStarted) else f"{event.old_state}>{event.new_state} {event.reason or ''}".rstrip()
        for event in events
        if isinstance(event, DocumentStarted | AdapterStateChange)
    ]  # fmt: skip


@pytest.mark.parametrize("way", [{}, {"concurrency": 2}, {"processes": None}])
def test_a_notice_comes_with_its_page(way) -> None:
    """Each notice is a change of state that changes nothing, before the documents of the next page; no secret in it."""
    events = told(Polite(1), **way)
    documents = [event for event in events if event[0].isdigit()]
    assert documents == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]
    for number in range(3):
        notice = events.index(f"running>running notice 0 of page {number}; password=***")
        assert notice < events.index(f"{number}.0")
        assert number == 0 or notice > events.index(f"{number - 1}.0")
    assert events.count("running>running the end") == 1
    assert events[-1] == "running>completed"


def test_many_notices_are_bounded() -> None:
    """Of 1,000 notices between two pages the last 100 remain, and the events of documents are the same."""
    events = told(Polite(1000))
    assert [event for event in events if event[0].isdigit()] == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]
    assert sum("notice" in event for event in events[: events.index("1.0")]) <= 200
    assert events[1].startswith("running>running notice 900")


def test_a_long_wait_for_a_budget_is_told() -> None:
    """With 30 requests per minute, the requests after the first one wait 2 s, and say so."""
    events = told(rate=0.5)
    wait = "running>running waited 2 s for example.org: its limit is 30 requests per minute"
    assert events[:2] == ["new>running", "0.0"]
    assert events.count(wait) == 2
    assert pytest.approx([1, 3, 5]) == TIMES


def test_retry_after_is_waited_for_and_told() -> None:
    """A 429 that asks for 3 s is tried again after 3 s, and the reason says what the run waits for."""
    busy = httpx2.Response(429, headers={"retry-after": "3"})
    events = told(replies=[httpx2.Response(200, json={}), busy], retry=RetryPolicy(attempts=4))
    at = events.index("failed>retrying waiting 3 s for example.org: 429 Too Many Requests (attempt 2 of 4)")
    assert events[at - 1 : at + 3] == [
        "running>failed HttpError: https://example.org/page answered 429 Too Many Requests",
        events[at],
        "retrying>running",
        "1.0",
    ]
    assert TIMES[2] - TIMES[1] == pytest.approx(3.0)


def test_announce_outside_a_run_does_nothing() -> None:
    """A fetch that is called by hand may announce as well."""
    announce("nobody hears this")
