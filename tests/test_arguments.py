"""Arguments of the wrong kind: every public function, operator and terminal refuses them before anything runs.

The tests walk over the signatures, so a new parameter is tried as soon as it exists.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import penstock as ps
import penstock.operators as op
from penstock.adapters import pubmed
from penstock.errors import GraphError, NotResumable, PositionError
from penstock.flow import Flow
from penstock.ledger import MemoryLedger
from penstock.runtime import arguments
from penstock.sinks import MemorySink, callback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

KINDS: dict[str, tuple[object, ...]] = {
    r"^(Async)?Iterable|^Awaitable|Observable|Queue|^Exception|^type\[|^Position|^Statistics": (3, object()),
    r"^Callable|^SendAsync|^ThrowAsync|^CloseAsync": (3, "text", [print]),
    r"^Joinable|Flow\[": (3, "text", print),
    r"^int( \| None)?$": ("3", 1.5, True, [3]),
    r"^float( \| None)?$": ("3", float("nan"), True, [3]),
    r"^bool$": ("yes", 1, None),
    r"^bool \| None$": ("yes", 1),
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
    ("subscribe", "position"): (print,),  # what is neither a position nor a function is a ``PositionError``
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
            except (GraphError, PositionError) as error:
                text = str(error)
            except Exception as error:  # noqa: BLE001  reported
                pytest.fail(f"{what} raises {error!r}")
            else:
                pytest.fail(f"{what} is not refused")
            assert "test_arguments.py:" in text, f"{what}: {text}"
            assert own in text or name in PIPELINE, f"{what}: {text}"
            assert not re.search(r"object is not|has no attribute|unexpected keyword| _[A-Z]", text), text


def test_no_line_is_named_where_none_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no code of a user calls, the text is the same without its line, not with one of Penstock or asyncio."""
    tried = [
        (function, parameter, value)
        for name, function in WALKED.items()
        for parameter in inspect.signature(function).parameters.values()
        for value in wrong_values(name.rpartition(".")[2], parameter)[:1]
    ]

    def refused() -> list[str]:
        texts = []
        for one in tried:
            with pytest.raises((GraphError, PositionError)) as error:
                called(*one)
            texts.append(str(error.value))
        return texts

    known = refused()
    monkeypatch.setattr(arguments, "assembled_at", str)
    assert [re.sub(r",? at \S+test_arguments\.py:\d+", "", text) for text in known] == refused()


async def test_whose_line_is_named() -> None:
    """Code of a user that calls or awaits has a line. A callback of the event loop and a thread have none."""

    async def awaited() -> str:
        return arguments.assembled_at()

    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()
    loop.call_soon(lambda: told.set_result(arguments.assembled_at()))
    assert "test_arguments.py:" in await told
    assert "test_arguments.py:" in await asyncio.wait_for(awaited(), 5)
    assert await asyncio.to_thread(arguments.assembled_at) == ""
    with pytest.raises(GraphError, match=r"^window\(\) needs"):
        await asyncio.to_thread(op.window)


# -- what a newcomer writes -------------------------------------------------------------------------


@pytest.mark.parametrize("name", op.__all__)
def test_an_operator_that_was_not_called_says_so(name: str) -> None:
    """``flow | op.map`` shows the wrong and the right line, for every operator."""
    with pytest.raises(GraphError, match=rf"{name} was not called, at .*Right: flow \| op.{name}\(...\)"):
        assert never_started() | getattr(op, name)


def test_what_is_no_operator_says_so() -> None:
    """Two flows are joined by name; a value is no operator; an operator needs a flow in front of it."""
    flow = never_started()
    with pytest.raises(GraphError, match="To join two flows, use merge, concat or zip"):
        flow | flow  # type: ignore[operator]
    with pytest.raises(GraphError, match="takes an operator after it as step, not int"):
        flow | 3  # type: ignore[operator]
    with pytest.raises(GraphError, match=r"the input of map must be a Flow, not list.*from_iterable"):
        op.map(str)([1])  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"each argument of concat must be a Flow.*flow \| operator"):
        flow.concat(op.map(str))  # type: ignore[arg-type]


def test_observers_go_to_another_method() -> None:
    """``subscribe(print)``, as in other libraries, names the methods that take a function."""
    with pytest.raises(GraphError, match=r"for_each.*subscribe_async"):
        never_started().subscribe(print)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"takes an async function.*flow\.for_each"):
        asyncio.run(never_started().subscribe_async(print))  # type: ignore[arg-type]


def test_a_loop_that_is_not_async_says_what_to_write() -> None:
    """``for item in flow``, ``list(flow)`` and ``flow[0]`` name ``async for`` and ``flow.sync``; no iterable lies."""
    flow: Any = never_started()
    uses: tuple[Callable[[], object], ...] = (
        lambda: list(flow),
        lambda: next(iter(flow)),
        lambda: flow[0],
        lambda: 1 in flow,
    )
    for use in uses:
        with pytest.raises(TypeError, match=r"async for item in flow.*flow\.sync"):
            use()
    assert not isinstance(flow, Iterable)


@pytest.mark.parametrize(
    ("n", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (1.5, TypeError),
        ("3", TypeError),
        (None, TypeError),
        (True, TypeError),
        ([], TypeError),
    ],
)
def test_a_refused_request_leaves_the_run_as_it_was(n: Any, error: type[Exception]) -> None:
    """The run goes on where it was, with any number that is right afterwards, however large."""

    async def main() -> list[int]:
        async with ps.range_(5).map(int).subscribe() as subscription:
            came = await subscription.request(2)
            position = subscription.position
            with pytest.raises(error, match=r"request\(.*\): ask for"):
                await subscription.request(n)
            assert subscription.position == position
            while items := await subscription.request(10**40):  # on a slow machine a slice of them
                came += items
            return came

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


async def later_items() -> AsyncIterator[int]:
    """Yield two items."""
    yield 1
    yield 2


JOINED: dict[str, Callable[[Any], Flow[Any]]] = {
    "concat": lambda other: ps.just(0).concat(other),
    "merge": lambda other: ps.just(0).merge(other),
    "interleave": lambda other: ps.just(0).interleave(other),
    "merge_sorted": lambda other: ps.just(0).merge_sorted(other),
    "race": lambda other: ps.empty().race(other),
    "zip": lambda other: ps.just(0, 0).zip(other),
    "zip_longest": lambda other: ps.just(0).zip_longest(other),
    "zip_latest": lambda other: ps.just(0).zip_latest(other),
    "combine_latest": lambda other: ps.just(0).combine_latest(other),
    "with_latest_from": lambda other: ps.just(0).with_latest_from(other),
    "sequence_equal": lambda other: ps.just(1, 2).sequence_equal(other),
    "switch_if_empty": lambda other: ps.empty().switch_if_empty(other),
    "take_until": lambda other: ps.never().take_until(other),
    "skip_until": lambda other: ps.just(0).skip_until(other),
    "timeout": lambda other: ps.never().timeout(0.001, fallback=other),
    "ps.concat": lambda other: ps.concat(other, other),
}


@pytest.mark.parametrize("name", JOINED)
def test_joins_take_iterables_of_any_kind(name: str) -> None:
    """A list, a generator, an async generator and a flow of the same items give the same result."""
    join = JOINED[name]

    def run(other: object) -> list[Any]:
        return asyncio.run(join(other).to_list())

    wanted = run(ps.from_iterable([1, 2]))
    assert run([1, 2]) == wanted
    if name != "ps.concat":  # which reads its argument twice
        assert run(one for one in (1, 2)) == wanted
        if name not in {
            "skip_until",
            "zip_latest",
            "combine_latest",
            "with_latest_from",
            "merge",
        }:  # of no fixed order
            assert run(later_items()) == wanted


# -- order ------------------------------------------------------------------------------------------


def loose(x: int) -> Flow[int]:
    """Return a flow of no fixed order."""
    return ps.just(x).merge(ps.just(x + 10))


BUILDING: dict[str, Callable[[], Flow[int]]] = {
    "concat_map": lambda: ps.range_(3).concat_map(loose),
    "flat_map_merge": lambda: ps.range_(3).flat_map_merge(loose),
    "switch_map": lambda: ps.range_(1).switch_map(loose),
    "exhaust_map": lambda: ps.range_(1).exhaust_map(loose),
    "defer": lambda: ps.defer(lambda: loose(1)),
    "using": lambda: ps.using(object, lambda _: loose(1), repr),
    "on_error_resume": lambda: ps.fail(KeyError()).on_error_resume(lambda _: loose(1)),
    "nested": lambda: ps.range_(3).concat_map(lambda x: ps.defer(lambda: loose(x))),
}
EXACT = [name for name in BUILDING if name in {"concat_map", "defer", "using", "on_error_resume", "nested"}]
"""Those whose own order is exact, so that the graph is taken for resumable."""


async def itself(x: int) -> int:
    """Return the argument."""
    return x


@pytest.mark.parametrize("name", BUILDING)
def test_no_order_is_needed_where_nothing_depends_on_it(name: str) -> None:
    """Flows of no fixed order run without ``order=``, also in front of a stage that counts its inputs."""
    flow = BUILDING[name]()
    assert asyncio.run(flow.count()) > 1
    assert asyncio.run(flow.map_async(itself, ordered=False).count()) > 1
    assert asyncio.run(flow.flat_map(lambda x: [x]).count()) > 1


@pytest.mark.parametrize("name", EXACT)
def test_an_order_is_needed_where_a_position_depends_on_it(name: str) -> None:
    """A checkpoint or a retry behind a stage that counts inputs refuses the flow, and a position of it is refused."""
    counting = BUILDING[name]().map_async(itself, ordered=False)
    assert counting.resumable
    refused = r'map_async at .* needs flows of order exact.*order="interleaved"'
    for needed in (counting.checkpoint(MemoryLedger(), key="k"), counting.retry()):
        with pytest.raises(GraphError, match=refused):
            asyncio.run(needed.to_list())

    async def main() -> None:
        async with counting.subscribe() as subscription:
            assert subscription.position  # nothing was built yet
            await subscription.request(1)
            with pytest.raises(NotResumable, match=refused):
                subscription.position  # noqa: B018

    asyncio.run(main())
    nothing_counts = BUILDING[name]().checkpoint(MemoryLedger(), key="k")
    assert asyncio.run(nothing_counts.count()) > 1


def test_a_promised_order_binds_flows_built_within() -> None:
    """An ``order=`` that was given holds for flows that are built further inside, too."""
    inner = ps.range_(3).concat_map(lambda x: ps.defer(lambda: loose(x)), order="exact")
    with pytest.raises(GraphError, match=r"concat_map at .* needs flows of order exact"):
        asyncio.run(inner.to_list())
