"""User code may raise anything, at any call: no request waits for ever, and no item is lost behind it."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from penstock.operators import map  # noqa: A004
from penstock.runtime.run import Run
from penstock.runtime.stream import flow_of
from penstock.testing import run
from penstock.testing.leaks import no_leaks
from penstock.testing.time import Deadlock

from ..length import cases  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES
from .everyday import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.runtime.node import Node

    from .entry import Entry


class Panic(BaseException):
    """What extension modules and test tools raise: no ``Exception``."""


CREATE: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("planted"),
    "ExceptionGroup": lambda: ExceptionGroup("planted", [ValueError()]),
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": asyncio.CancelledError,
    "GeneratorExit": GeneratorExit,
    "BaseExceptionGroup": lambda: BaseExceptionGroup("planted", [Panic()]),
    "Panic": Panic,
}
KINDS = list(CREATE)
MISTAKEN = (StopIteration, StopAsyncIteration, asyncio.CancelledError)
"""Errors that would be taken for something else; they become a ``RuntimeError``."""

LEFT_OUT = {
    "publish": "its run is started by the flow that the entry holds, not by the copy that fails",
    "group_by, merged": "flat_map_merge waits for the flows that it started, and no group ends before the others",
}
IN_PROCESSES = {"map_process"}
"""Operators whose functions run in other processes, which cannot import a planted one; they have own tests."""


def nodes_of(node: Node) -> Iterator[Node]:
    """Yield the nodes of a graph that are not those of the laws' own sources."""
    for above in node.inputs:
        yield from nodes_of(above)
    if not type(node).__module__.startswith("penstock.testing") and node.operator not in IN_PROCESSES:
        yield node


def functions_of(root: Node) -> list[tuple[Node, str]]:
    """Return every field of a node that holds a function of the user."""
    found: dict[tuple[int, str], tuple[Node, str]] = {}
    for node in nodes_of(root):
        for one in fields(node):
            value = getattr(node, one.name)
            if inspect.isroutine(value) or type(value).__name__ == "partial":
                found[id(node), one.name] = (node, one.name)
    return list(found.values())


class Planting:
    """``function``, which raises ``error`` at its call number ``call``; ``done`` tells whether it has."""

    def __init__(self, function: Any, error: BaseException, call: int) -> None:
        self._function = function
        self._error = error
        self._left = call
        self.done = False
        self.planted = self._awaited if inspect.iscoroutinefunction(function) else self._called

    def _check(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.done = True
            raise self._error

    def _called(self, *args: Any) -> Any:
        self._check()
        return self._function(*args)

    async def _awaited(self, *args: Any) -> Any:
        self._check()
        return await self._function(*args)


def planted(root: Node, at: Node, field: str, function: Any) -> Any:
    """Return the flow of ``root`` with another function in one field of one node."""
    copies: dict[int, Node] = {}

    def copy(node: Node) -> Node:
        if id(node) not in copies:
            above = tuple(copy(one) for one in node.inputs)
            changed = {field: function} if node is at else {}
            same = not changed and all(new is old for new, old in zip(above, node.inputs, strict=True))
            copies[id(node)] = node if same else replace(node, inputs=above, **changed)
        return copies[id(node)]

    return flow_of(copy(root))


async def outcome(flow: Any, position: Any = None) -> tuple[list[Any], BaseException | None, Any]:
    """Run a flow to its end; return its items, its error, and the position behind them."""
    items: list[Any] = []
    error = behind = None
    async with no_leaks(collect=False):
        try:
            async with flow.subscribe(position) as subscription:
                try:
                    while chunk := await subscription.request(3):
                        items += chunk
                finally:
                    behind = subscription.position if flow.resumable else None
        except BaseException as raised:  # noqa: BLE001  the tests look at all kinds
            error = raised
    return items, error, behind


async def check(entry: Entry, index: int, kind: str, call: int) -> None:
    """Let one function of an entry raise an error of one kind at one call, and compare what comes of it."""
    root = entry.subject.start().flow.node
    node, field = functions_of(root)[index]
    where = f"{entry.name}: {kind} from call {call} of {node.operator}.{field}"
    error = CREATE[kind]()
    planting = Planting(getattr(node, field), error, call)
    flow = planted(root, node, field, planting.planted)
    items, raised, position = await outcome(flow)
    if not planting.done:
        return
    if raised is not None and raised is not error:
        assert isinstance(error, (*MISTAKEN, GeneratorExit)), f"{where} became {raised!r}"
        assert isinstance(raised, RuntimeError), f"{where} became {raised!r}"
        assert kind in str(raised), f"{where} became {raised!r}"
        assert any("penstock: in " in note for note in raised.__notes__), where
    if raised is error:
        assert not isinstance(error, MISTAKEN), where
    if raised is None and not isinstance(error, Exception | asyncio.CancelledError):
        undisturbed, _, _ = await outcome(entry.subject.start().flow)
        assert len(items) == len(undisturbed), f"{where} was swallowed"  # else an input was closed early
    if raised is not None and position is not None and flow.order == "exact":
        whole, _, _ = await outcome(entry.subject.start().flow)
        rest, _, _ = await outcome(entry.subject.start().flow, position)
        same = [entry.subject.same(item) for item in whole]
        assert [entry.subject.same(item) for item in [*items, *rest]] == same, where


async def count(entry: Entry) -> int:
    """Return how many functions an entry has; some flows can be built only in a running loop."""
    return len(functions_of(entry.subject.start().flow.node))


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry.name not in LEFT_OUT], ids=lambda entry: entry.name
)
def test_any_error_of_any_function_ends_the_run_or_is_handled(entry: Entry) -> None:
    """An error reaches the caller as it is, or as a ``RuntimeError`` if Python would mistake it.

    Every day each function of the first entry of an operator raises three kinds of errors, at one call each;
    the functions of other entries raise one kind.
    """
    turn = ENTRIES.index(entry)
    for index in range(run(count(entry))):
        kinds = range(3 if entry.name in FIRST else 1)
        everyday = [(KINDS[(turn + index + 3 * k) % len(KINDS)], (turn + k) % 3 + 1) for k in kinds]
        for kind, call in cases(everyday, itertools.product(KINDS, [1, 2, 3, 5])):
            run(check(entry, index, kind, call))


def test_a_run_that_survives_its_tasks_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can fail: without ``Run.fail`` a request waits for a task that has died."""
    monkeypatch.setattr(Run, "fail", lambda *_: None)
    entry = next(entry for entry in ENTRIES if entry.name == "merge of 3")

    async def main() -> None:
        root = entry.subject.start().flow.node
        failing = map(Planting(str, Panic(), 1).planted)(flow_of(root.inputs[0]))
        await outcome(flow_of(replace(root, inputs=(failing.node, *root.inputs[1:]))))

    with pytest.raises(Deadlock):
        run(main())
