"""The page at ``/`` in a real Chromium: what it shows, how it is used without a mouse, and what it never does."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from penstock.adapters.pubmed.sample import write_sample
from penstock.http import application
from penstock.http.page import PATHS

from .browser import CHROMIUM, browsing
from .conftest import write_pipeline
from .serving import Client, listening, serving

TOKEN = "a-token-for-the-tests"  # noqa: S105
MARKUP = "<img src=x onerror=alert(1)>"
HIDE = (
    "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}}); "
    "document.dispatchEvent(new Event('visibilitychange'))"
)
WIDTHS = "[document.documentElement.scrollWidth, window.innerWidth]"
chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium-headless-shell)"
)


def has(text, selector="main"):
    """Return the expression whether a text can be seen."""
    return f"document.querySelector({selector!r}).innerText.includes({text!r})"


def kept_to(browser, client):
    """Check that the page complained about nothing, and asked nobody but its server, and never with a token."""
    assert browser.console == []
    assert {url.split("/")[2] for url in browser.urls if url.startswith("http")} == {
        f"127.0.0.1:{client.port}"
    }
    assert not [url for url in browser.urls if TOKEN in url]


async def test_files_of_the_page_are_typed_tagged_and_keep_scripts_out(folder):
    """Each file has its type, an ETag that saves sending it again, and a policy that allows no foreign or inline code."""
    types = {"": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    async with serving("p.toml", token=TOKEN) as client:
        asker = Client(client.port)
        for path in PATHS:
            answer = await asker("GET", path)
            again = await asker("GET", path, if_none_match=answer.headers["etag"])
            assert (answer.status, again.status, again.body) == (200, 304, b"")
            assert (
                answer.headers["content-type"].split(";")[0]
                == types[path.rpartition(".")[2] if "." in path else ""]
            )
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
        missing = await client("GET", "/page/..%2Fpage.py")
        assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")


def test_the_page_names_all_its_files_and_makes_no_markup_of_data():
    """The folder and the served names agree, files are short, and no script can write HTML."""
    folder = files("penstock.http").joinpath("static")
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir()}
    assert {f"/page/{name}" for name in texts if name != "index.html"} == PATHS - {"/"}
    assert {name for name, text in texts.items() if len(text.splitlines()) > 400} == set()
    risky = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|localStorage|https?://(?!www\.w3\.org/2000/svg)"
    assert {name: found for name, text in texts.items() if (found := re.findall(risky, text))} == {}
    assert not re.findall(r"\son\w+=|\sstyle=|<style", texts["index.html"])


@pytest.mark.slow
@chromium
async def test_a_run_is_watched_and_cancelled_without_a_mouse(folder, steps):
    """A live run moves on the page, shows its stages, and is cancelled with Tab and Enter; wide, narrow and dark."""
    write_pipeline("p", 'process = ["http_steps:held"]', "concurrency = 1", "progress_every = 1")
    steps.after = 3
    async with serving("p.toml") as client, browsing(folder / "profile") as browser:
        await browser.look(f"http://127.0.0.1:{client.port}/")
        await browser.until(has("There are no runs yet"))
        await browser.tab_to("#pipelines button")
        await browser.press("Enter")
        await browser.until(f"{has('3 ', '#progress-text')} && {has('running', '#run-state')}")
        steps.after = 10_000
        steps.gate.set()
        steps.gate.clear()
        steps.after = 0
        await browser.until("Number(document.querySelector('#progress-text').innerText.split(' ')[0]) > 3")
        await browser.run(HIDE.format("true"))
        await browser.run(HIDE.format("false"))
        await browser.until(has("Connected", "header"))
        while not (
            resumed := [one["headers"] for one in browser.requests if "Last-Event-ID" in one["headers"]]
        ):
            await asyncio.sleep(0.01)
        assert int(resumed[0]["Last-Event-ID"]) > 0
        stages = await browser.until(
            "[...document.querySelectorAll('#stages > li')].length > 1 && document.querySelector('#stages').innerText"
        )
        assert "demand" in stages
        assert "p.jsonl" in stages
        for width, dark in ((1200, True), (320, True), (320, False)):
            await browser.look(f"http://127.0.0.1:{client.port}/?{width}{dark}", width, dark=dark)
            await browser.until("document.querySelector('#stages li')")
            scroll, inner = await browser.run(WIDTHS)
            assert scroll <= inner == width
            shade = await browser.run(
                "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128"
            )
            assert shade == dark
        await browser.tab_to("#cancel")
        await browser.press("Enter")
        await browser.until("document.querySelector('#confirm').open")
        await browser.press("Enter")  # the safe answer has the focus
        await browser.until("!document.querySelector('#confirm').open")
        assert (await client("GET", "/v1/runs")).json["runs"][0]["state"] == "running"
        await browser.tab_to("#cancel")
        await browser.press("Enter")
        await browser.tab_to("#confirm button[value=yes]")
        await browser.press("Enter")
        await browser.until("/stopping|cancelled/.test(document.querySelector('#run-state').innerText)")
        steps.gate.set()
        await browser.until(f"{has('cancelled', '#run-state')} && {has('p: cancelled', '#announced')}")
        kept_to(browser, client)


@chromium
async def test_what_documents_say_is_text(folder):
    """Names, errors and dead letters that look like HTML are shown as they are, and run no script; also mounted at a prefix."""
    Path("http_bad.py").write_text(f"async def bad(document):\n    raise ValueError({MARKUP!r})\n")
    write_sample(folder / f"{MARKUP}.xml", 12, malformed=1)
    write_pipeline(MARKUP, 'process = ["http_bad:bad"]', source=f"{MARKUP}.xml", to="out.jsonl")
    app = application([f"{MARKUP}.toml"])
    outer = Starlette(routes=[Mount("/in/side", app)])
    async with app.state.penstock, listening(outer, "off") as port, browsing(folder / "profile") as browser:
        client = Client(port, prefix="/in/side")
        run = await client.start(MARKUP)
        await client.ended(run)
        await browser.look(f"http://127.0.0.1:{port}/in/side/#{run}", 320)
        await browser.until(f"{has(f'ValueError: {MARKUP}', '#errors')} && {has(MARKUP, '#run-title')}")
        await browser.run("document.querySelector('#show-letters').click()")
        letters = await browser.until(
            "document.querySelector('#letters li') && document.querySelector('#letters').innerText"
        )
        assert f"{MARKUP}.xml#" in letters
        assert await browser.run("document.querySelectorAll('img, iframe').length") == 0
        scroll, inner = await browser.run(WIDTHS)
        assert scroll <= inner
        kept_to(browser, client)


@pytest.mark.slow
@chromium
async def test_the_token_stays_in_the_tab_and_a_hidden_tab_rests(folder, steps):
    """A token is asked for, kept in sessionStorage, and sent in a header only. A tab that comes back resumes its events."""
    write_pipeline("p", 'process = ["http_steps:held"]', "progress_every = 1")
    steps.after = 3
    app = application(["p.toml"], token=TOKEN)
    async with (
        app.state.penstock as service,
        listening(app, "off") as port,
        browsing(folder / "profile") as browser,
    ):
        client = Client(port, TOKEN)
        await browser.look(f"http://127.0.0.1:{port}/")
        for token in ("a-wrong-token-here", TOKEN):
            await browser.until("document.querySelector('#token-dialog').open")
            await browser.type(token)
            await browser.press("Enter")
            if token != TOKEN:
                await browser.until("document.querySelector('#token-wrong').checkVisibility()")
        await browser.until(has("There are no runs yet"))
        assert await browser.run("[sessionStorage.length, localStorage.length, document.cookie]") == [
            1,
            0,
            "",
        ]
        await client.start()
        await browser.until(has("3 ", "#progress-text"))
        while not service.streams:
            await asyncio.sleep(0.01)
        await browser.run(HIDE.format("true"))
        while service.streams:
            await asyncio.sleep(0.01)
        before = len(browser.urls)
        steps.after = 10_000
        steps.gate.set()
        (run,) = service.runs()
        while not run.ended:
            await asyncio.sleep(0.01)
        assert len(browser.urls) == before
        await browser.run(HIDE.format("false"))
        await browser.until(has("completed", "#run-state"))
        browser.console = [line for line in browser.console if "401" not in line]
        kept_to(browser, client)
