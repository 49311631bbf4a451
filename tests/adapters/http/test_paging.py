"""Every kind of paging gives every record once, from any position, and asks for one page ahead at most."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Document, IngestionPipeline, RawRecord
from penstock.adapters import Adapter
from penstock.adapters.http import (
    Cursor,
    HttpError,
    JsonSource,
    Listing,
    NextLink,
    ODataNextLink,
    Offset,
    OnePage,
    PageNumber,
    PageToken,
    SearchAfter,
    pages_of,
)
from penstock.adapters.http.answer import Answer
from penstock.adapters.http.paging import Fetched
from penstock.errors import GraphError
from penstock.runtime.policy import RetryPolicy
from penstock.testing import time as virtual

from .serving import answer as reply
from .serving import serving

URL = "http://api.test/things"


class Api:
    """Serves ``count`` records in pages of ``size``, in the way that one kind of paging expects."""

    def __init__(self, kind: str, count: int, size: int, took: float = 0.0) -> None:
        self.kind, self.records, self.size, self.took = kind, [{"id": n} for n in range(count)], size, took
        self.asked: list[str] = []

    async def get(self, url, params=None, **_options):
        query = {**dict(parse_qsl(urlsplit(url).query)), **{k: str(v) for k, v in (params or {}).items()}}
        self.asked.append(f"{url}?{query}")
        await asyncio.sleep(self.took)
        body, headers = getattr(self, self.kind)(query)
        return Answer(url=URL, status=200, headers=headers, content=json.dumps(body).encode())

    def _page(self, begin: int) -> tuple[list[dict[str, int]], int | None]:
        behind = begin + self.size
        return self.records[begin:behind], behind if behind < len(self.records) else None

    def one(self, _query):
        return self.records, {}

    def header(self, query):
        items, behind = self._page(int(query.get("from", 0)))
        link = '<http://api.test/first>; rel="first"'
        return items, {"link": link if behind is None else f'{link}, <?from={behind}>; rel="next"'}

    def body(self, query):
        items, behind = self._page(int(query.get("from", 0)))
        return {"data": items, "links": {"next": None if behind is None else f"{URL}?from={behind}"}}, {}

    def odata(self, query):
        items, behind = self._page(int(query.get("$skiptoken", 0)))
        return {
            "data": items,
            **({} if behind is None else {"@odata.nextLink": f"{URL}?$skiptoken={behind}"}),
        }, {}

    def token(self, query):
        items, behind = self._page(int(query.get("pageToken", 0)))
        return {"data": items, **({} if behind is None else {"nextPageToken": str(behind)})}, {}

    def cursor(self, query):
        begin = int(query.get("cursor", 0))
        return {
            "data": self._page(begin)[0],
            "meta": {"cursor": min(begin + self.size, len(self.records))},
        }, {}

    def offset(self, query):
        return {"data": self._page(int(query["offset"]))[0]}, {}

    def total(self, query):
        return {"data": self._page(int(query["offset"]))[0], "meta": {"total": str(len(self.records))}}, {}

    def number(self, query):
        return {"data": self._page((int(query["page"]) - 1) * self.size)[0]}, {}

    def after(self, query):
        return {"data": self._page(int(query.get("search_after", -1)) + 1)[0]}, {}


def kinds(size: int):
    return {
        "one": (OnePage(), ""),
        "header": (NextLink(), ""),
        "body": (NextLink("links.next"), "data"),
        "odata": (ODataNextLink(), "data"),
        "token": (PageToken("pageToken", "nextPageToken"), "data"),
        "cursor": (Cursor("cursor", "meta.cursor", until_empty=True), "data"),
        "offset": (Offset(size), "data"),
        "total": (Offset(size, total="meta.total"), "data"),
        "number": (PageNumber(size), "data"),
        "after": (SearchAfter("search_after", ("id",), size), "data"),
    }  # fmt: skip


def listing(kind: str, size: int, **options) -> Listing:
    paging, records = kinds(size)[kind]
    return Listing(url=URL, params={}, paging=paging, records=records, **options)


@pytest.mark.parametrize("kind", kinds(1))
@given(count=st.integers(0, 30), size=st.integers(1, 7))
def test_every_record_comes_once_from_every_position(kind: str, count: int, size: int) -> None:
    """The position of a page, through JSON, is followed by exactly the records behind that page."""

    async def main() -> None:
        api = Api(kind, count, size)
        pages = [page async for page in pages_of(api, listing(kind, size))]
        assert [record for page in pages for record in page.items] == api.records
        for number, page in enumerate(pages):
            position = json.loads(json.dumps(page.position))
            rest = [r async for later in pages_of(api, listing(kind, size), position) for r in later.items]
            assert rest == [record for later in pages[number + 1 :] for record in later.items]

    asyncio.run(main())


@pytest.mark.parametrize("kind", [kind for kind in kinds(1) if kind != "one"])
def test_one_page_ahead_at_the_most(kind: str) -> None:
    """While a page is used, the next one is fetched, and no other; closing leaves no request behind."""

    async def main(*, ahead: bool) -> list[int]:
        api, counts = Api(kind, 20, 2, took=1.0), []
        pages = pages_of(api, listing(kind, 2, look_ahead=ahead))
        for _ in range(3):
            await anext(pages)
            await asyncio.sleep(5)
            counts.append(len(api.asked))
        await pages.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return counts

    assert virtual.run(main(ahead=True)) == [2, 3, 4]
    assert virtual.run(main(ahead=False)) == [1, 2, 3]


class Pages:
    """Answers with these pages, in turn, for ever."""

    def __init__(self, *bodies) -> None:
        self.bodies, self.number = bodies, 0

    async def get(self, url, params=None, **options):
        body = self.bodies[self.number % len(self.bodies)]
        self.number += 1
        if body is None:
            assert 404 in options["allow"]
            return Answer(url=URL, status=404)
        return Answer(
            url=URL, status=200, content=body if isinstance(body, bytes) else json.dumps(body).encode()
        )


async def collected(pages: Pages, paging, **options):
    found = Listing(url=URL, params={}, paging=paging, records="data", **options)
    return [record async for page in pages_of(pages, found) for record in page.items]


@pytest.mark.parametrize("length", [1, 2, 3, 10, 25])
async def test_pages_in_a_circle_end(length: int) -> None:
    """They end as an error after a few rounds: with the same records under new tokens, or the same tokens."""
    same_tokens = [{"data": [{"id": n}], "next": f"t{n}"} for n in range(length)]
    with pytest.raises(HttpError, match=r"circle|that of the page before") as caught:
        await collected(Pages(*same_tokens), PageToken("token", "next"))
    assert caught.value.is_retryable is (length == 1)
    pages = Pages(*({"data": [{"id": n}]} for n in range(length)))
    with pytest.raises(HttpError, match=r"circle|that of the page before"):
        await collected(pages, Offset(1))
    assert pages.number <= 6 * length + 4


@pytest.mark.parametrize("token", [True, False])
async def test_a_run_over_the_same_page_for_ever_ends(token: bool) -> None:
    """Each attempt goes on behind the last page, and still notices that the next one is the same."""
    served = 0

    def serve(_request) -> bytes:
        nonlocal served
        served += 1
        return reply(json.dumps({"data": [{"meta": {"id": 1}}], "nextPageToken": "t"}).encode())

    class Same(Things):
        name = "same"
        records = "data"
        total = None

    async with serving(serve) as (url, _):
        if not token:  # the API ignores the offset
            Same.paging = Offset(1)
        with pytest.raises(HttpError, match="that of the page before"):
            await IngestionPipeline(Adapter(Same(url=url)), retry=RetryPolicy(attempts=3, initial=0)).run()
    assert served < 12


def test_a_link_is_followed_with_encryption_only() -> None:
    """A link to ``http`` behind ``https`` is an error; other relations are no next page."""

    def following(url: str, header: str):
        page = Fetched(answer=Answer(url=url, status=200, headers={"link": header}), body=[], items=[])
        return NextLink().following(page, None)

    assert following("https://a.test/x", '</y>; rel="next"') == "https://a.test/y"
    assert following("https://a.test/x", "</y>; rel=next") == "https://a.test/y"
    assert (
        following("https://a.test/x", '</y>; rel="next-archive", </z>; rel="prev next"') == "https://a.test/z"
    )
    with pytest.raises(HttpError, match="not encrypted any more"):
        following("https://a.test/x", '<http://a.test/y>; rel="next"')


async def test_answers_that_are_no_page() -> None:
    """Each is one sentence that says what was expected."""
    for body, problem in [
        ({"error": {"code": 5}}, "answered with an error: {'code': 5}"),
        ({"data": {"id": 1}}, "data must be a list of records, not dict"),
        ({}, "data must be a list of records, not NoneType"),
        (b"<html>", "did not answer with JSON"),
        ({"data": [{"id": 1}], "next": ["x"]}, None),
    ]:
        run = collected(Pages(body), PageToken("token", "next"), error="error")
        if problem is None:
            assert await run == [{"id": 1}]
        else:
            with pytest.raises(HttpError, match=problem):
                await run
    with pytest.raises(HttpError, match="link to the next page is no text"):
        await collected(Pages({"data": [{"id": 1}], "next": ["x"]}), NextLink("next"))
    with pytest.raises(HttpError, match="its last record has no sort to go on from"):
        await collected(Pages({"data": [{"id": 1}]}), SearchAfter("after", ("sort",), 1))


async def test_a_status_that_means_none() -> None:
    """It is an empty page, and the end."""
    assert await collected(Pages(None), Offset(10), none=(404,)) == []


class Things(JsonSource):
    """A source as short as it can be."""

    name = "things"
    params = {"q": "all"}  # noqa: RUF012  as users write it
    paging = PageToken("pageToken", "nextPageToken")
    records = "data"
    id = "meta.id"
    version = "meta.version"
    title = "name"
    total = "total"


def thing(n: int):
    return {"meta": {"id": n, "version": "2"}, "name": f"Thing {n} \ud800" if n == 3 else f"Thing {n}"}


async def test_a_source_over_a_real_server() -> None:
    """Bad records are dead letters; a page that fails is asked for again; the run is resumed behind a page."""
    data = [thing(n) for n in range(7)]
    data[4] = {"name": "without an id"}
    data[5] = ["no object"]  # type: ignore[assignment]
    faults = ["503 Busy", "429 Slow"]

    def serve(request):
        query = dict(parse_qsl(urlsplit(request.target).query))
        begin = int(query.get("pageToken", 0))
        if begin == 2 and faults:
            return reply(b"", status=faults.pop(), retry_after="0")
        body = {"data": data[begin : begin + 2], "total": 7}
        if begin + 2 < 7:
            body["nextPageToken"] = begin + 2
        return reply(json.dumps(body).encode())

    async with serving(serve) as (url, requests):
        source = Things({"fields": "a,b", "left": None}, url=url)
        assert source.parameters == {"url": url, "q": "all", "fields": "a,b"}
        result = await IngestionPipeline(Adapter(source)).run_async()
        assert [d.doc_id for d in result.documents] == [f"things:{n}.2" for n in (0, 1, 2, 3, 6)]
        assert [f.doc_id for f in result.failures] == ['page "4"#0', 'page "4"#1']
        assert requests[0].target == "/?q=all&fields=a%2Cb"
        assert len(requests) == 6
        document = result.documents[1]
        assert isinstance(document, Document)
        assert (document.record_id, document.version, document.title) == ("things:1", "2", "Thing 1")
        assert document.metadata == thing(1)


async def test_a_run_of_a_source_goes_on_behind_a_page(tmp_path) -> None:
    """A run that was limited asks for nothing that it has already."""

    def serve(request):
        begin = int(dict(parse_qsl(urlsplit(request.target).query)).get("pageToken", 0))
        body = {"data": [thing(begin)], **({"nextPageToken": begin + 1} if begin < 6 else {})}
        return reply(json.dumps(body).encode())

    async with serving(serve) as (url, requests):

        def pipeline(limit=None):
            return IngestionPipeline(
                Adapter(Things(url=url)), ledger=tmp_path / "run.db", limit=limit, checkpoint_every=1
            )

        await pipeline(limit=3).run(tmp_path / "out.jsonl")
        before = len(requests)
        assert before <= 4
        assert (await pipeline().run(tmp_path / "out.jsonl")).counts["completed"] == 7
        assert "pageToken=3" in requests[before].target or "pageToken=2" in requests[before].target
        lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
        assert [json.loads(line)["doc_id"] for line in lines] == [f"things:{n}.2" for n in range(7)]


def test_what_parse_says_of_bad_records() -> None:
    """Broken JSON, NaN, no object, deep nesting: each is an Error, and no exception."""
    for data in (
        b"{",
        b'{"meta": NaN}',
        b"[]",
        b'{"a":' * 100_000,
        b'{"meta": {"id": true}}',
        b'{"meta": {"id": "\\n"}}',
        b"\xff",
    ):
        outcome = Things(url=URL).parse(RawRecord("k", data))
        assert outcome.is_error(), data
    with pytest.raises(GraphError, match="Things has no address"):
        Things()
