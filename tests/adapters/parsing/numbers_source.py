"""A source whose records say what parsing them does. Worker processes import it by its name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from expression import Error, Ok

from penstock.abc import Page, Source
from penstock.document import Document, RawRecord, content_hash
from penstock.errors import DocumentError


class Odd(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, one, two):
        super().__init__(one)


class Numbers(Source):
    """Records of the texts ``data``; ``log`` is a file that gets a line for each record that is parsed.

    If it is ``mended``, no record kills the process that parses it.
    """

    name = "numbers"

    def __init__(self, data: list[str], size: int = 7, log: str = "", *, mended: bool = False) -> None:
        self.data = data
        self.size = size
        self.log = log
        self.mended = mended

    async def fetch(self, position):
        for at in range(position or 0, len(self.data), self.size):
            some = self.data[at : at + self.size]
            records = [RawRecord(f"n#{at + i}", text.encode(), {"at": at + i}) for i, text in enumerate(some)]
            yield Page(records, at + len(some))

    def identify(self, raw):
        if raw.data == b"nameless":
            raise DocumentError(f"{raw.key} has no name")
        return f"N:{raw.context['at']}"

    def glance(self, raw):
        return self.identify(raw)

    def parse(self, raw):
        if self.log:
            with Path(self.log).open("a") as log:
                log.write(f"{raw.key} {os.getpid()}\n")
        text = raw.data.decode()
        metadata = {"at": raw.context["at"]}
        match text:
            case "raises":
                return {}[raw.key]
            case "odd":
                raise Odd(1, 2)
            case "bad":
                return Error(DocumentError(f"{raw.key} is bad"))
            case "deadly" if not self.mended:
                os.kill(os.getpid(), signal.SIGKILL)
            case "function":
                metadata["function"] = lambda: None
            case "surrogate":
                text = "\ud800"
            case "tuple":
                metadata["tuple"] = (1, float("nan"))
        return Ok(
            Document(
                doc_id=self.identify(raw), source=self.name, title=text, metadata=metadata,
                content_hash=content_hash(raw.data), deleted=text == "deleted",
            )
        )  # fmt: skip


class Gated(Numbers):
    """Arrives in other processes only when the file ``log`` exists."""

    def __reduce__(self):
        return _when_open, (self.data, self.size, self.log)


def _when_open(data: list[str], size: int, log: str) -> Numbers:
    while not Path(log).exists():
        time.sleep(0.01)
    return Numbers(data, size)
