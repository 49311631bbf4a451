"""A headless Chromium, driven over a pipe with the DevTools protocol: nothing is installed, and no port is opened.

``--remote-debugging-pipe`` makes Chromium read commands from descriptor 3 and write answers to descriptor 4. Each is
one JSON text that ends with a zero byte. https://chromedevtools.github.io/devtools-protocol describes them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None
)
HURRY = 30
"""Seconds until something on the page counts as missing; no test needs a tenth of it."""
_LIMIT = 1 << 26
_OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-component-update", "--disable-background-networking",
    "--disable-sync", "--hide-scrollbars", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)  # fmt: skip
_LAUNCH = (
    "import os, sys; r, w = int(sys.argv[1]), int(sys.argv[2]); "
    "os.dup2(r, 13); os.dup2(w, 14); os.dup2(13, 3); os.dup2(14, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """A running Chromium with one page.

    ``console`` has what the page complained about, and ``urls`` every address that it asked for.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: int) -> None:
        self.console: list[str] = []
        self.urls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self._writer = writer
        self._session: str | None = None
        self._sent = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._task = asyncio.ensure_future(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError):  # the browser has ended
            while text := await reader.readuntil(b"\0"):
                message = json.loads(text[:-1])
                if "id" in message:
                    found = self._waiting.pop(message["id"])
                    if not found.done():  # its test gave up
                        found.set_result(message)
                else:
                    self._note(message["method"], message["params"])

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
            self.urls.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
            self.console.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.javascriptDialogOpening":
            self.console.append(f"a script opened a dialog: {params['message']}")

    async def command(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result."""
        self._sent += 1
        number = self._sent
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        found = self._waiting[number] = asyncio.get_running_loop().create_future()
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(HURRY):
            answer = await found
        assert "error" not in answer, (method, answer)
        return answer["result"]

    async def attach(self) -> None:
        """Open a page, and listen to it."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.command(f"{domain}.enable")

    async def look(self, url: str, width: int = 1200, height: int = 900, *, dark: bool = False) -> None:
        """Go to an address, in a window of this size, by day or in the dark."""
        await self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.command("Emulation.setEmulatedMedia", features=[scheme])
        await self.command("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, (script, answer)
        return answer["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression in the page is true, and return its value."""
        whole = f"document.readyState != 'loading' && (found => found instanceof Node || found)({script})"
        try:
            async with asyncio.timeout(HURRY):
                while not (found := await self.run(whole)):
                    await asyncio.sleep(0.03)
        except TimeoutError:
            seen = await self.run("document.body.innerText")
            raise AssertionError(f"never true: {script}\n{seen}\n{self.console}") from None
        return found

    async def text(self, selector: str) -> str:
        """Return the text that is seen of an element."""
        return await self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key: ``Tab``, ``Enter`` or ``Escape``."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        about = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": 8 if shift else 0}
        if key == "Enter":
            about["text"] = "\r"
        await self.command("Input.dispatchKeyEvent", type="keyDown", **about)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **about)

    async def tab_to(self, selector: str) -> None:
        """Press Tab until an element has the focus, as somebody without a mouse does."""
        wanted = f"document.activeElement?.matches({json.dumps(selector)})"
        for _ in range(60):
            await self.press("Tab")
            if await self.run(wanted):
                return
        raise AssertionError(f"Tab never reaches {selector}")

    async def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        await self.command("Input.insertText", text=text)

    async def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        answer = await self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """End the browser."""
        self._session = None
        await self.command("Browser.close")
        self._task.cancel()


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Browser]:
    """Start Chromium with an empty profile; end it afterwards."""
    assert CHROMIUM is not None
    theirs_read, ours_write = os.pipe()
    ours_read, theirs_write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LAUNCH, str(theirs_read), str(theirs_write), CHROMIUM, *_OPTIONS,
        f"--user-data-dir={profile}", pass_fds=(theirs_read, theirs_write),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_read)
    os.close(theirs_write)
    reader = asyncio.StreamReader(limit=_LIMIT)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_read, "rb")
    )
    try:
        browser = Browser(reader, ours_write)
        await browser.attach()
        yield browser
        await browser.close()
        async with asyncio.timeout(HURRY):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        transport.close()
        os.close(ours_write)
