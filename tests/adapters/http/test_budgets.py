"""Budgets in virtual time: when requests begin, who shares them, and what ``Retry-After`` does to them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import pytest

from penstock.adapters.http import HttpClient, HttpError
from penstock.adapters.http.limits import published
from penstock.runtime.retry_after import LONGEST, retry_after_in
from penstock.testing import run

URL = "https://example.org/x"


def client(reply=lambda request: httpx2.Response(200, json={}), **options) -> HttpClient:
    return HttpClient(transport=httpx2.MockTransport(reply), **options)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_requests_are_evenly_spaced() -> None:
    """20 requests at 10 per second begin 0.1 s apart and take 2 s, also if they are asked for at once."""

    async def main(ask) -> list[float]:
        began: list[float] = []

        def reply(request):
            began.append(now())
            return httpx2.Response(200, json={})

        async with client(reply, rate={"example.org": 10}) as http:
            await ask(http)
        assert now() == pytest.approx(2.0)
        return began

    async def in_turn(http) -> None:
        for _ in range(20):
            await http.get(URL)

    async def at_once(http) -> None:
        await http.gather([URL] * 20)

    for ask in (in_turn, at_once):
        assert run(main(ask)) == pytest.approx([0.1 * (k + 1) for k in range(20)])


def test_clients_share_the_budget_of_a_host_and_not_of_others() -> None:
    """Two clients at one host take turns; another host has a budget of its own."""

    async def main() -> None:
        async with client(rate={"*": 10}) as one, client(rate={"*": 10}) as other:
            await asyncio.gather(*(http.get(URL) for http in (one, other) * 5))
            assert now() == pytest.approx(1.0)
            await one.get("https://example.com/")
            assert now() == pytest.approx(1.1)

    run(main())


def test_concurrency_keeps_the_permitted_rate_busy() -> None:
    """At least 95 % of the rate is used although each answer takes as long as nine requests."""

    async def main() -> None:
        async def slow(request):
            await asyncio.sleep(0.9)
            return httpx2.Response(200, json={"url": str(request.url)})

        async with client(slow, rate={"*": 10}) as http:
            answers = await http.gather([(URL, {"page": k}) for k in range(400)])
        assert [answer.json()["url"] for answer in answers] == [f"{URL}?page={k}" for k in range(400)]
        assert 400 / now() >= 0.95 * 10

    run(main())


def test_a_cancelled_request_costs_nothing() -> None:
    """A request that gives up while it waits leaves its turn to the next one."""

    async def main() -> None:
        async with client(rate={"*": 1}) as http:
            tasks = [asyncio.create_task(http.get(URL)) for _ in range(4)]
            await asyncio.sleep(1.5)
            tasks[1].cancel()
            tasks[2].cancel()
            await asyncio.wait(tasks)
            assert now() == pytest.approx(2.0)

    run(main())


def test_retry_after_holds_back_all_requests_to_the_host() -> None:
    """After a 429 that asks for 3 s, no client asks that host again before; others are not kept."""

    async def main() -> None:
        busy = [httpx2.Response(429, headers={"Retry-After": "3"})]

        def reply(request):
            return busy.pop() if busy else httpx2.Response(200, json={})

        async with client(reply, rate={"*": 10}) as http, client(rate={"*": 10}) as other:
            with pytest.raises(HttpError) as caught:
                await http.get(URL)
            error = caught.value
            assert (error.status, error.retry_after, error.is_retryable) == (429, 3.0, True)
            assert error.waits_for == "example.org: 429 Too Many Requests"
            began = now()
            await other.get("https://example.com/")
            assert now() - began == pytest.approx(0.1)
            await other.get(URL)
            assert now() - began == pytest.approx(3.0)

    run(main())


def test_an_error_of_gather_cancels_the_others() -> None:
    """The first error is raised as it is, and no request begins after it."""

    async def main() -> None:
        async with client(lambda request: httpx2.Response(404), rate={"*": 10}) as http:
            with pytest.raises(HttpError, match="answered 404 Not Found"):
                await http.gather([URL] * 20)
            assert now() == pytest.approx(0.1)

    run(main())


def test_published_limits() -> None:
    """The limits of NCBI depend on a key; an unknown server gets a moderate rate."""
    assert [published("eutils.ncbi.nlm.nih.gov", keyed=keyed) for keyed in (False, True)] == [3, 10]
    assert published("api.fda.gov", keyed=False) * 60 == 240
    assert published("example.org", keyed=True) == 10

    async def main() -> None:
        url = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/esearch.fcgi"
        async with client() as http:
            await http.gather([url] * 3)
        assert now() == pytest.approx(1.0)
        async with client(secret_params={"api_key": "kkkkkkkk"}, private=True) as http:
            await http.gather([url] * 11)
        assert now() == pytest.approx(1 + 1 / 3 + 1.0)

    run(main())


def date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": date(1000), "date": date(940)}, 60.0),  # a server whose clock is 56 years late
        ({"retry-after": date(900), "date": date(940)}, 0.0),
        ({"retry-after": date(10**9 + 5)}, 5.0),  # without a Date, by the clock here
        ({"retry-after": date(10**9 - 5)}, 0.0),
        ({"retry-after": "99999999999"}, LONGEST),
        ({"retry-after": date(4 * 10**9)}, LONGEST),
        *(
            ({"retry-after": bad}, None)
            for bad in ("", "-1", "nan", "inf", "soon", "Mon, 99 Foo 2026 00:00:00 GMT")
        ),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds) -> None:
    """Seconds and dates are understood, dates by the server's own clock; what is absurd is bounded or ignored."""

    async def main() -> float | None:
        return retry_after_in(headers)

    assert run(main()) == seconds
