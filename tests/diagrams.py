"""Draws what flows did in virtual time, one column for each step, for the pages that are generated."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import Any

from penstock import Flow


@dataclass
class Line:
    """What one flow yielded: the texts of each step, and the step of its end."""

    label: str
    cells: dict[int, list[str]] = field(default_factory=dict)
    ended: int | None = None

    def put(self, step: float, text: str) -> None:
        """Add an item, or the mark of the end."""
        step = round(step, 6)
        assert step == int(step), f"{self.label}: {text} came between two steps, at {step}"
        self.cells.setdefault(int(step), []).append(text)

    def end(self, step: float, text: str) -> None:
        """Add the last mark: behind it the line is empty."""
        self.put(step, text)
        self.ended = int(round(step, 6))

    def cell(self, step: int) -> str:
        """Return the text of one step: nothing, an item, or several in parentheses."""
        texts = self.cells.get(step, [])
        if len(texts) < 2:
            return "".join(texts)
        return "(" + ("" if all(len(text) == 1 for text in texts) else " ").join(texts) + ")"


async def watched(flows: list[tuple[str, Any, int]], until: int) -> list[Line]:
    """Run flows (or awaitables) at the same time, each from its step on, at the longest to the step ``until``."""
    lines = [Line(label) for label, _, _ in flows]
    watching = [_watch(line, what, start, until) for line, (_, what, start) in zip(lines, flows, strict=True)]
    await asyncio.gather(*watching)
    return lines


async def _watch(line: Line, what: Any, start: int, until: int) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(start)
    try:
        async with asyncio.timeout_at(until + 0.5):
            if inspect.isawaitable(what):
                result = await what
                line.end(loop.time(), text_of(result))
                return
            assert isinstance(what, Flow), f"{line.label} is no flow"
            async with what.subscribe() as subscription:
                while items := await subscription.request(1000):
                    for item in items:
                        line.put(loop.time(), text_of(item))
            line.end(loop.time(), "|")
    except TimeoutError:
        if loop.time() < until:
            line.end(loop.time(), "#")
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001  an error is one of the signals
        line.end(loop.time(), "#")


def text_of(item: Any) -> str:
    """Return a short text of an item: ``[ab]`` for a list, ``a1`` for a tuple."""
    if isinstance(item, tuple):
        parts = [text_of(part) for part in item]
        return ("" if all(len(part) == 1 for part in parts) else ",").join(parts)
    if isinstance(item, list):
        parts = [text_of(part) for part in item]
        return "[" + ("" if all(len(part) == 1 for part in parts) else " ").join(parts) + "]"
    return str(item).replace("\n", "\\n") or "''"


def drawn(lines: list[Line]) -> str:
    """Return the timelines below each other; a column is as wide as its widest text."""
    last = max((max(line.cells, default=0) for line in lines), default=0)
    widths = [max(len(line.cell(step)) for line in lines) for step in range(last + 1)]
    widths = [width + 1 if width > 1 else 1 for width in widths]
    margin = max(len(line.label) for line in lines) + 3
    return "\n".join(f"{line.label.ljust(margin)}{_timeline(line, widths)}" for line in lines)


def _timeline(line: Line, widths: list[int]) -> str:
    steps = len(widths) if line.ended is None else line.ended
    text = "".join(line.cell(step).ljust(widths[step], "-") for step in range(steps))
    return text + ("" if line.ended is None else line.cell(line.ended))
