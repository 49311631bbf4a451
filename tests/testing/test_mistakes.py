"""A mistake in the call of a check is a ``SubjectError`` that says what to do; it is never put on the flow."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import re
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.testing import LawViolation, SubjectError, laws, run

from ..laws.catalogue import ENTRIES  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

NUMBERS = range(3)


def successor(n: int) -> int:
    return n + 1


def plus_one(source: Any) -> Any:
    return source | op.map(successor)


def joined(a: Any, b: Any) -> Any:
    return a | op.zip(b)


async def awaited(source: Any) -> Any:
    return plus_one(source)


async def awaited_model(items: Iterable[int]) -> AsyncIterator[int]:
    for item in items:
        yield item + 1


def no_items() -> list[int]:
    return []


def failing_model(items: Iterable[int]) -> Iterator[int]:
    yield from (n + 1 for n in items)
    raise KeyError("planted")


def nothing_computed(items: Iterable[int]) -> Iterator[int]:
    for count, _ in enumerate(items, 1):
        yield count


class Incomparable:
    """An item without ``__eq__``."""


class Array:
    """An item that is compared element by element, as arrays are."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def cached() -> Callable[..., Any]:
    """Return a factory that returns one flow for ever."""
    flows: list[Any] = []

    def factory(source: Any) -> Any:
        flows.append(plus_one(source))
        return flows[0]

    return factory


def stale() -> Callable[..., Any]:
    """Return a factory that builds each flow on the source of its first call."""
    sources: list[Any] = []

    def factory(source: Any) -> Any:
        sources.append(source)
        return plus_one(sources[0])

    return factory


def counting() -> Callable[..., Any]:
    """Return a factory whose flows share a counter."""
    numbers = itertools.count()
    return lambda source: source | op.map(lambda n: (n, next(numbers)))


def spent() -> Callable[..., Any]:
    """Return a factory whose flows share a generator."""
    numbers = iter(range(3))
    return lambda: ps.from_iterable(n for n in numbers)


def changed(item: list[int]) -> list[int]:
    item.append(0)
    return list(item)


def changing(source: Any) -> Any:
    """Change each item, which other runs get too."""
    return source | op.map(changed)


DATES = [dt.date(2026, 1, day) for day in (1, 2)]

OTHERS = [name for name in laws.LAWS if name != "settled_by_demand"]

CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "no function": ((3, NUMBERS), {}, "the factory is 3"),
    "a flow": ((ps.just(1),), {}, re.escape("laws.check(lambda: flow)")),
    "nothing returned": ((lambda source: None, NUMBERS), {}, "returned None: return the flow"),
    "an operator returned": ((lambda source: op.map(str), NUMBERS), {}, "apply it"),
    "several flows returned": ((lambda source: source | op.broadcast(2), NUMBERS), {}, "return one flow"),
    "an async factory": ((awaited, NUMBERS), {}, "without async"),
    "too few parameters": ((lambda: ps.just(1), NUMBERS), {}, "one source for each input"),
    "too many parameters": ((joined, NUMBERS), {}, "one source for each input"),
    "a flow that cannot be built": ((lambda source: source | op.batch(0), NUMBERS), {}, "at least 1"),
    "a source that is not read": ((lambda source: ps.just(1), NUMBERS), {}, "does not read source 0"),
    "a second source that is not read": ((lambda a, b: plus_one(a), NUMBERS, NUMBERS), {}, "source 1"),
    "one flow for ever": ((cached(), NUMBERS), {}, "the same flow twice"),
    "one source for ever": ((stale(), NUMBERS), {}, "does not read source 0"),
    "a shared counter": ((counting(), NUMBERS), {}, "share a state"),
    "a shared generator": ((spent(),), {}, "share a state"),
    "items that are changed": ((changing, [[1], [2]]), {}, "change the items"),
    "no end": ((lambda source: source | op.repeat(), NUMBERS), {}, "give it an end"),
    "items that do not fit": ((lambda source: source | op.map(len), NUMBERS), {}, "no len"),
    "items that cannot be hashed": (
        (lambda source: source | op.distinct(capacity=5), [{}, {}]), {}, "unhashable"
    ),
    "items that JSON cannot hold": ((lambda source: source | op.distinct_until_changed(), DATES), {}, "JSON"),
    "items that JSON changes": (
        (lambda source: source | op.distinct_until_changed(), [(1, 2), (1, 2), (3, 4)]), {}, "JSON"
    ),
    "items without equality": ((lambda source: source | op.map(lambda n: Incomparable()), NUMBERS), {}, "same="),
    "not a number": ((lambda source: source | op.map(float), [float("nan")]), {}, "same="),
    "arrays": ((lambda source: source | op.map(lambda n: Array()), NUMBERS), {}, "same="),
    "a failing same": ((plus_one, NUMBERS), {"same": lambda n: n["id"]}, "same="),
    "an input that is no list": ((plus_one, 3), {}, "input 0 is 3"),
    "a model that is an input": ((plus_one, NUMBERS, failing_model), {}, "model="),
    "an input that is a flow": ((plus_one, ps.just(1)), {}, "input 0 is a Flow"),
    "an input without end": ((plus_one, itertools.count()), {}, "no end"),
    "a model without parameters": ((plus_one, NUMBERS), {"model": no_items}, "one iterator for each"),
    "a model that is no function": ((plus_one, NUMBERS), {"model": [1, 2, 3]}, "one iterator for each"),
    "a model without items": ((plus_one, NUMBERS), {"model": lambda items: None}, "write a generator"),
    "an async model": ((plus_one, NUMBERS), {"model": awaited_model}, "without async"),
    "a model that fails": ((plus_one, NUMBERS), {"model": failing_model}, "KeyError"),
    "an eager model": ((plus_one, NUMBERS), {"model": lambda items: [n + 1 for n in items]}, "lazy"),
    "an eager model of two": ((joined, NUMBERS, NUMBERS), {"model": lambda *both: list(zip(*both, strict=True))}, "lazy"),
    "a model that computes too little": ((plus_one, NUMBERS), {"model": nothing_computed}, r"0 \+ item"),
    "a model that computes too much": (
        (lambda source: source | op.filter(lambda _: True), NUMBERS),
        {"model": lambda items: (0 + n for n in items)},
        "pass it on too",
    ),
    "an unknown law": ((plus_one, NUMBERS), {"skip": ["fare"]}, "did you mean 'fair'"),
    "a law instead of a list": ((plus_one, NUMBERS), {"skip": "fair"}, r"write \['fair'\]"),
    "an unknown fact": ((plus_one, NUMBERS), {"fold": True}, "did you mean 'folds'"),
    "an unknown style": ((plus_one, NUMBERS), {"style": "page"}, "did you mean 'pages'"),
    "a wrong page": ((plus_one, NUMBERS), {"page": (0,)}, "at least 1"),
    "attach without a flow": ((plus_one, NUMBERS), {"attach": lambda flow, ledger: None, "skip": OTHERS}, "attach="),
}  # fmt: skip
"""Arguments of ``check``, with one mistake each, and a part of the message."""


@pytest.mark.parametrize("name", CALLS)
def test_mistake_of_the_caller_is_no_violation(name: str) -> None:
    """The error is a ``SubjectError``, and its message says what to do."""
    arguments, options, message = CALLS[name]
    with pytest.raises(SubjectError, match=message):
        laws.check(*arguments, **options)


def test_subject_needs_a_tuple_of_sequences() -> None:
    """Each law refuses a subject whose inputs are items, or can be read only once."""
    for inputs in (range(3), (iter(range(3)),)):
        with pytest.raises(SubjectError, match="Subject\\(factory, \\(range"):
            laws.prefix(laws.Subject(plus_one, inputs))  # type: ignore[arg-type]


def test_every_subject_of_the_catalogue_is_sound() -> None:
    """The search for mistakes takes none of our own subjects for one."""
    for entry in ENTRIES:
        laws.require_sound(entry.subject)


def test_violation_names_the_fact_with_which_the_law_holds() -> None:
    """A flow that closes its source early breaks law 7 unless that is told; the advice says so."""
    options: dict[str, Any] = {"skip": [name for name in laws.LAWS if name != "cancel_safe"]}

    def below_4(source: Any) -> Any:
        return source.take_while(lambda n: n < 4)

    with pytest.raises(LawViolation, match="pass closes_early=True"):
        laws.check(below_4, range(7), **options)
    laws.check(below_4, range(7), **options, closes_early=True)


def test_violation_without_a_fact_has_no_advice() -> None:
    """A wrong flow is a violation, also where other facts were told."""
    with pytest.raises(LawViolation) as caught:
        laws.check(plus_one, range(3), model=lambda items: (n + 2 for n in items), closes_early=True)
    assert caught.value.advice == ""


def test_check_works_where_a_loop_is_running() -> None:
    """In a notebook, ``check``, ``racing`` and ``run`` use a thread with a loop of its own."""

    async def cell() -> float:
        laws.check(plus_one, range(3), model=lambda items: (n + 1 for n in items), seeds=3, skip=["closing"])
        with pytest.raises(LawViolation):
            laws.check(plus_one, range(3), model=lambda items: (n + 2 for n in items))
        with pytest.raises(SubjectError):
            laws.check(joined, range(3))
        return run(hour())

    async def hour() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert asyncio.run(cell()) == 3600


def test_a_loaded_notebook_is_no_place_of_an_operator() -> None:
    """Penstock asks IPython for the names of cells while a flow is assembled; law 13 wants no note about that."""
    pytest.importorskip("IPython")
    code = (
        "import IPython, penstock.operators as op\nfrom penstock.testing import laws\n"
        "laws.check(op.map(abs), range(3), skip=[name for name in laws.LAWS if name != 'errors_speak'])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_operator_may_live_in_another_module() -> None:
    """Law 13 accepts a note that names the file of the operator, and the operator itself as a factory."""
    elsewhere = ModuleType("elsewhere")
    code = (
        "import penstock.operators as op\ndef plus(m): return lambda source: source | op.map(lambda n: n + m)"
    )
    exec(compile(code, "elsewhere.py", "exec"), vars(elsewhere))  # noqa: S102  the code is our own
    assert "elsewhere" not in sys.modules
    only = [name for name in laws.LAWS if name != "errors_speak"]
    for factory in (lambda source: source | elsewhere.plus(2), elsewhere.plus(2), op.map(successor)):
        laws.check(factory, range(3), skip=only)
