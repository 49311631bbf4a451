"""Arguments of the wrong kind: every public function, operator and terminal refuses them before anything runs.

The tests walk over the signatures, so a new parameter is tried as soon as it exists.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import penstock as ps
import penstock.operators as op
from penstock.adapters import pubmed
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink, callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS: dict[str, tuple[object, ...]] = {
    r"^(Async)?Iterable|^Awaitable|Observable|Queue|^Exception|^type\[|^Position|^Statistics": (3, object()),
    r"^Callable|^SendAsync|^ThrowAsync|^CloseAsync": (3, "text", [print]),
    r"^Joinable|Flow\[": (3, "text", print),
    r"^int( \| None)?$": ("3", 1.5, True, [3]),
    r"^float( \| None)?$": ("3", float("nan"), True, [3]),
    r"^bool$": ("yes", 1, None),
    r"^str( \| None)?$": (3, b"text", ["text"]),
    r"^int \| str$": (1.5, True, ["text"]),
    r"^OverflowName$|^Literal": ("no such word", 3, []),
    r"^Ledger( \| None)?$|^Sink$": ("run.db", 3),
    r"^RetryPolicy": (3, "often"),
    r"^Adapter$": (3, "pubmed.xml"),
    r"^Ledger \| str|^Target": (3, {1: 2}),
    r"^Collection": (3, "text", [3]),
    r"^Sequence": (3, "text", [3], print),
}
"""For each kind of annotation, values that it does not allow; the first kind that matches counts."""

ANYTHING = r"^(Any|object|[A-Z])$"
"""The annotations of parameters that take any object."""

EXCEPTIONS: dict[tuple[str, str], tuple[object, ...]] = {
    ("sample", "every"): ("text", print),  # 3 is a number of seconds
    ("unwrap", "errors"): (3, "no such word", [print]),  # the annotation is Any because of overloads
    ("callback", "name"): (3,),
}
"""Wrong values of parameters whose annotation does not say what they take."""

PIPELINE = {"pipeline.run", "pipeline.replay", "pipeline.explain", "IngestionPipeline"}
"""What takes outputs and ledgers: the message names these, because the command line takes them, too."""

VALID: dict[str, object] = {
    "other": ps.just(1), "others": ps.just(1), "flows": ps.just(1), "paused": ps.just(True),
    "ledger": MemoryLedger(), "sink": MemorySink(), "kind": int, "adapter": pubmed("none.xml"),
}  # fmt: skip
"""Values of parameters without a default, by name; see ``valid`` for the others."""


def valid(name: str, annotation: str) -> object:
    """Return a value for a parameter without a default."""
    if name in VALID:
        return VALID[name]
    if "Callable" in annotation:
        return print
    return "key" if annotation == "str" else 3


def never_started() -> Flow[int]:
    """Return a flow that nobody may start."""

    def start() -> NoReturn:
        pytest.fail("something ran")

    return ps.from_iterable(start)


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function, operator, terminal and class that takes arguments, with its name."""
    flow = never_started()
    for name in op.__all__:
        yield f"op.{name}", getattr(op, name)
    for name in ps.__all__:
        if inspect.isfunction(getattr(ps, name)):
            yield f"ps.{name}", getattr(ps, name)
    for name in dir(Flow):
        method = getattr(flow, name)
        if not name.startswith("_") and name not in op.__all__ and inspect.ismethod(method):
            yield f"flow.{name}", method
    pipeline = ps.IngestionPipeline(pubmed("none.xml"), ledger=MemoryLedger())
    for name in ("run", "replay", "explain"):
        yield f"pipeline.{name}", getattr(pipeline, name)
    for kind in (ps.RetryPolicy, ps.DeadLetters, ps.IngestionPipeline, callback):
        yield kind.__name__, kind


def wrong_values(name: str, parameter: inspect.Parameter) -> tuple[object, ...]:
    """Return values that a parameter must refuse."""
    annotation = "Joinable" if parameter.name == "flows" else str(parameter.annotation).strip('"')
    if (name, parameter.name) in EXCEPTIONS:
        return EXCEPTIONS[name, parameter.name]
    if re.match(ANYTHING, annotation):
        return ()
    for kind, values in KINDS.items():
        if re.search(kind, annotation):
            return values
    return pytest.fail(f"{name}({parameter.name}: {annotation}): say in KINDS what it must refuse")


def called(function: Callable[..., Any], tried: inspect.Parameter, value: object) -> object:
    """Call a function with one wrong argument; await what it returns."""
    positional: list[object] = []
    named: dict[str, object] = {}
    for one in inspect.signature(function).parameters.values():
        if one.name == tried.name:
            given = value
        elif one.default is inspect.Parameter.empty and one.kind is not inspect.Parameter.VAR_POSITIONAL:
            given = valid(one.name, str(one.annotation))
        else:
            continue
        if one.kind is inspect.Parameter.VAR_POSITIONAL:
            positional.append(given)
        else:
            named[one.name] = given
    made = function(*positional, **named)

    async def main() -> object:
        if inspect.isasyncgen(made):
            return await anext(made)
        return await made if inspect.isawaitable(made) else made

    return asyncio.run(main())


WALKED = dict(public())


@pytest.mark.parametrize("name", WALKED)
def test_arguments_of_a_wrong_kind_are_refused(name: str) -> None:
    """The error is a ``GraphError`` that names the operator and the line, and nothing has run."""
    function, own = WALKED[name], name.rpartition(".")[2]
    for parameter in inspect.signature(function).parameters.values():
        for value in wrong_values(own, parameter):
            what = f"{name}({parameter.name}={value!r})"
            try:
                called(function, parameter, value)
            except GraphError as error:
                text = str(error)
            except Exception as error:  # noqa: BLE001  reported
                pytest.fail(f"{what} raises {error!r}")
            else:
                pytest.fail(f"{what} is not refused")
            assert "test_arguments.py:" in text, f"{what}: {text}"
            assert own in text or name in PIPELINE, f"{what}: {text}"
            assert not re.search(r"object is not|has no attribute|unexpected keyword| _[A-Z]", text), text
