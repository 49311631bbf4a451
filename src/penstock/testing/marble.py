"""Marble strings: a timeline of items and the end, drawn in one line as in Rx.

Each character is one step of time, also within parentheses, so that diagrams stay aligned below each
other:

=========  ==========================================================================================
``-``      a step without an item
``a``      an item, as is any other character: its entry in ``values``, or the character itself
``(abc)``  items that all come in the step of the ``(``; the end may be among them: ``(ab|)``
``|``      completed
``#``      an error
a space    takes no time; for alignment
=========  ==========================================================================================

A string without an end never ends.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.testing.script import Forever, Planted, Raise, Until
from penstock.testing.sources import TestSource
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.testing.laws.subject import AnyFlow

__all__ = ["Marble", "MarbleMismatch", "expect", "marbles", "parse_marbles"]

_SPECIAL = "-()|# "
_STEPS_TO_WAIT = 1_000
_MANY = 1_000


class MarbleMismatch(AssertionError):
    """A flow and its marble string differ; the message shows both."""


class Marble(NamedTuple):
    """One signal at a step: ``next`` with an item, ``completed``, or ``error`` with the error."""

    step: float
    kind: str
    value: Any = None


def parse_marbles(diagram: str, values: Mapping[str, Any] | None = None) -> list[Marble]:
    """Return the signals of ``diagram``, in order.

    Raises:
        ValueError: the string is no diagram; the message points at the character.
    """
    values = values or {}
    group: int | None = None
    found: list[Marble] = []
    step = -1
    for at, character in enumerate(diagram):
        if character == " ":
            continue
        step += 1
        match character:
            case "(" if group is not None:
                raise _invalid(diagram, at, "a group cannot contain a group")
            case "(":
                group = step
            case ")" if group is None:
                raise _invalid(diagram, at, "this ')' has no '('")
            case ")":
                group = None
            case "-" if group is not None:
                raise _invalid(diagram, at, "time cannot pass within a group")
            case "-":
                pass
            case _ if found and found[-1].kind != "next":
                raise _invalid(diagram, at, "nothing can come after the end")
            case _:
                kind = {"|": "completed", "#": "error"}.get(character, "next")
                value = values.get(character, character) if kind == "next" else None
                found.append(Marble(step if group is None else group, kind, value))
    if group is not None:
        raise _invalid(diagram, len(diagram), "the last '(' has no ')'")
    return found


def _invalid(diagram: str, at: int, why: str) -> ValueError:
    return ValueError(f"invalid marble string: {why}\n  {diagram}\n  {' ' * at}^")


def marbles(
    diagram: str,
    values: Mapping[str, Any] | None = None,
    *,
    step: float = 1.0,
    error: BaseException | None = None,
    **options: Any,
) -> TestSource:
    """Return a source that plays ``diagram``; an item comes at its step, or later when it is requested later.

    Args:
        diagram: A marble string (see ``penstock.testing.marble``).
        values: The items of characters; other characters are items themselves.
        step: Virtual seconds per character.
        error: The error of ``#``; by default ``Planted``.
        options: Further arguments of ``TestSource``.

    Raises:
        ValueError: the string is no diagram.
    """
    script: list[Any] = []
    ended = False
    for marble in parse_marbles(diagram, values):
        ended = marble.kind != "next"
        script.append(Until(marble.step * step))
        if marble.kind == "error":
            script.append(Raise(lambda: error or Planted("planted in the marbles")))
        elif not ended:
            script.append(marble.value)
    return TestSource(script if ended else [*script, Forever()], **options)


def expect(flow: AnyFlow, values: Mapping[str, Any] | None = None, *, step: float = 1.0) -> Expectation:
    """Return an expectation of ``flow``: ``expect(flow).to_be("-a-(bc|)")``.

    The flow runs in virtual time, on a new loop, with a consumer that always requests more.

    Args:
        flow: The flow to run.
        values: The items of characters; other characters are items themselves.
        step: Virtual seconds per character.
    """
    return Expectation(flow, dict(values or {}), step)


@dataclass(frozen=True, slots=True)
class Expectation:
    """A flow, to be compared with a marble string."""

    flow: AnyFlow
    values: dict[str, Any]
    step: float

    def to_be(self, diagram: str, *, error: type[BaseException] = Exception) -> None:
        """Run the flow and compare it with ``diagram``; ``#`` is any error of the type ``error``.

        After a diagram without an end, nothing may come for a thousand steps.

        Raises:
            MarbleMismatch: an item, the end or a time differs.
            ValueError: the string is no diagram.
        """
        wanted = parse_marbles(diagram, self.values)
        came = run(self._watch(wanted[-1].step if wanted else 0))
        alike = [marble._replace(value=None) if marble.kind == "error" else marble for marble in came]
        failed = came[-1].value if came and came[-1].kind == "error" else None
        if alike == wanted and (failed is None or isinstance(failed, error)):
            return
        why = self._difference(wanted, alike, failed)
        drawn = self._drawn(came) or "cannot be drawn: " + ", ".join(map(_in_words, came))
        raise MarbleMismatch(f"{why}\n  expected  {diagram}\n  came      {drawn}") from failed

    async def _watch(self, last: float) -> list[Marble]:
        """Run the flow to its end, or until a thousand steps after the ``last`` one of the diagram."""
        loop = asyncio.get_running_loop()
        began, came = loop.time(), list[Marble]()
        limit = (last + _STEPS_TO_WAIT) * self.step
        try:
            async with asyncio.timeout_at(began + limit), self.flow.subscribe() as subscription:
                while items := await subscription.request(_MANY):
                    at = self._steps(loop.time() - began)
                    came += [Marble(at, "next", item) for item in items]
                came.append(Marble(self._steps(loop.time() - began), "completed"))
        except TimeoutError as error:
            if loop.time() - began < limit:
                came.append(Marble(self._steps(loop.time() - began), "error", error))
        except Exception as error:  # noqa: BLE001  an error is one of the signals
            came.append(Marble(self._steps(loop.time() - began), "error", error))
        return came

    def _steps(self, seconds: float) -> float:
        steps = round(seconds / self.step, 6)
        return int(steps) if steps.is_integer() else steps

    def _difference(self, wanted: list[Marble], came: list[Marble], failed: BaseException | None) -> str:
        differ = next((pair for pair in zip(wanted, came, strict=False) if pair[0] != pair[1]), None)
        if differ is not None:
            return f"expected {_in_words(differ[0])}, but {_in_words(differ[1])} came"
        if len(came) < len(wanted):
            return f"{_in_words(wanted[len(came)])} did not come"
        if len(came) > len(wanted):
            return f"{_in_words(came[len(wanted)])} came too"
        return f"it failed with {failed!r}"

    def _drawn(self, came: list[Marble]) -> str | None:
        """Draw the signals; ``None`` if a group takes up the step of a later signal."""
        out = ""
        for step in dict.fromkeys(marble.step for marble in came):
            group = "".join(self._character(marble) for marble in came if marble.step == step)
            if not isinstance(step, int) or step < len(out):
                return None
            out += "-" * (step - len(out)) + (f"({group})" if len(group) > 1 else group)
        return out

    def _character(self, marble: Marble) -> str:
        if marble.kind != "next":
            return "|" if marble.kind == "completed" else "#"
        for character, value in self.values.items():
            if value == marble.value:
                return character
        plain = isinstance(marble.value, str) and len(marble.value) == 1 and marble.value not in _SPECIAL
        return marble.value if plain else "?"


def _in_words(marble: Marble) -> str:
    what = {"next": repr(marble.value), "completed": "the end", "error": "an error"}[marble.kind]
    return f"{what} at step {marble.step:g}"
