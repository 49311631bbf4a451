"""Writes and compiles the loop of a fused stage, and finds the element whose line failed.

The loop of ``map | filter | scan``, in a stage that is not tracked, reads::

    def loop(it, calls, cell, page, end, log):
        f0 = calls[0].function
        ...
        (s2,) = cell.states
        (c2,) = cell.before
        try:
            for x in it:
                c2 = s2
                x = f0(x)
                if not f1(x):
                    continue
                x = s2 = f2(s2, x)
                yield x
        finally:
            cell.states = (s2,)
            cell.before = (c2,)

Tracebacks show its lines, though there is no such file: ``linecache`` has them as long as the loop lives.

A terminal compiled with the elements before it (``fusion.compiled_terminals``) has the same body. In place of
``yield x`` a plain function calls the terminal's function, and an async generator yields the item and fetches
the next slice itself.
"""

from __future__ import annotations

import linecache
import weakref
from enum import Enum, auto
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from penstock.runtime.missing import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from penstock.fusion.loop_element import LoopElement

    Kinds = tuple[tuple[type[LoopElement], bool], ...]  # types of elements, and whether each has a function

LONGEST_LOOP = 256
"""The most elements in one loop; compiling a long function takes more than twice as long as its halves."""

_serial = count(1)


class Emit(Enum):
    """What a loop does with each item behind the last element."""

    STAGE = auto()
    """Yield it to a fused stage, which asks for positions."""
    ITERATE = auto()
    """Yield it to an ``async for``."""
    EACH = auto()
    """Call a function with it."""
    FOLD = auto()
    """Replace the total by ``function(total, item)``."""
    FOLD_ITEMS = auto()
    """The same; the first item is the first total."""
    COUNT = auto()
    """Add one to the total."""


CONSUMING = {
    Emit.EACH: "g(x)",
    Emit.FOLD: "total = g(total, x)",
    Emit.FOLD_ITEMS: "total = x if total is MISSING else g(total, x)",
    Emit.COUNT: "total += 1",
}


class Loop:
    """A compiled loop, and the element that each of its lines belongs to."""

    __slots__ = ("__weakref__", "_file", "_owners", "run")

    def __init__(self, run: Callable[..., Any], source: str, file: str, owners: dict[int, int]) -> None:
        self.run = run
        self._file = file
        self._owners = owners
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        weakref.finalize(self, linecache.cache.pop, file, None).atexit = False

    def blame(self, error: BaseException) -> int | None:
        """Return the index of the element in whose line ``error`` left the loop, or ``None``."""
        found = None
        for trace in self._own(error):
            found = self._owners.get(trace.tb_lineno, found)
        return found

    def given(self, error: BaseException, element: LoopElement) -> Any:
        """Return the input of ``element``, in whose line ``error`` left the loop."""
        *_, trace = self._own(error)
        return trace.tb_frame.f_locals["z" if element.expands else "x"]

    def _own(self, error: BaseException) -> Iterator[TracebackType]:
        """Yield the entries of a traceback that are lines of this loop, the innermost last."""
        stray = error.__cause__
        if isinstance(error, RuntimeError) and isinstance(stray, StopIteration):
            error = stray  # Python 3.11's generator converts it without a traceback line of its own
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                yield trace
            trace = trace.tb_next


def compile_loop(
    elements: tuple[LoopElement, ...], *, tracked: bool = False, emit: Emit = Emit.STAGE
) -> Loop:
    """Return the loop for ``elements``; loops of the same kinds of elements are compiled once."""
    return _compile(
        tuple((type(element), element.function is not None) for element in elements), tracked, emit
    )


@lru_cache(maxsize=512)
def _compile(kinds: Kinds, tracked: bool, emit: Emit) -> Loop:  # noqa: FBT001  a cache key
    writer = _Writer(kinds, tracked=tracked) if emit is Emit.STAGE else _TerminalWriter(kinds, emit)
    source = "\n".join(writer.lines) + "\n"
    title = "|".join(kind.operator for kind, _ in kinds)
    file = f"<penstock stage {next(_serial)}: {title}>"
    scope: dict[str, Any] = {"islice": islice, "MISSING": MISSING}
    for kind, _ in kinds:
        scope.update(kind.helpers)
    exec(compile(source, file, "exec"), scope)  # noqa: S102  our own text: no user's string is in it
    return Loop(scope["loop"], source, file, writer.owners)


class _Lines:
    """The lines of a function, and the element that each belongs to."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds
        self.lines: list[str] = []
        self.owners: dict[int, int] = {}

    def add(self, depth: int, *lines: str, owner: int | None = None) -> None:
        """Append lines, ``depth`` levels deep."""
        for line in lines:
            self.lines.append("    " * depth + line)
            if owner is not None:
                self.owners[len(self.lines)] = owner

    def parameters(self, depth: int, calls: str) -> None:
        """Append the lines that put functions and numbers into variables of the loop."""
        for k, (kind, called) in enumerate(self.kinds):
            if called:
                self.add(depth, f"f{k} = {calls}[{k}].function")
            if kind.number_is is not None:
                self.add(depth, f"n{k} = {calls}[{k}].number")


class _Writer(_Lines):
    """Writes the loop of a stage from the lines of its elements."""

    def __init__(self, kinds: Kinds, *, tracked: bool) -> None:
        super().__init__(kinds)
        last = kinds[-1][0]
        self._flat = last.expands
        self._batch = last.gathers
        self._tracked = tracked
        self._held = [k for k, (kind, _) in enumerate(kinds) if kind.held()]
        self.add(0, "def loop(it, calls, cell, page, end, log):")
        self._unpack()
        guarded = bool(self._held) or self._flat or self._batch
        depth = 2 if guarded else 1
        if guarded:
            self.add(1, "try:")
        self.add(depth, "for x in it:")
        self._body(depth + 1)
        if guarded:
            self._leave()

    def _tuple(self, letter: str) -> str:
        return "(" + "".join(f"{letter}{k}, " for k in self._held) + ")"

    def _unpack(self) -> None:
        self.parameters(1, "calls")
        if self._held:
            self.add(1, f"{self._tuple('s')} = cell.states", f"{self._tuple('c')} = cell.before")
        if self._flat:
            self.add(1, "j = cell.expanded")
        if self._batch:
            self.add(1, "b = cell.batch", "u = None")
        if self._batch or self._tracked:
            self.add(1, "left = it.__length_hint__")

    def _body(self, depth: int) -> None:
        copies = [f"c{k} = s{k}" for k in self._held]
        if self._batch:
            self.add(depth, "if not b:")
            self.add(depth + 1, *copies, "u = left()")
        else:
            self.add(depth, *copies)
        drop = (["j = 0"] if self._flat else []) + ["continue"]
        for k, (kind, called) in enumerate(self.kinds):
            if not kind.reshapes:
                self.add(depth, *kind.lines(k, drop, called=called), owner=k)
            if kind.takes:
                drop = [*drop[:-1], f"if s{k} >= n{k}:", "    return", "continue"]
        self._emit(len(self.kinds) - 1, depth)
        self.add(depth, *drop[:-1])

    def _emit(self, k: int, depth: int) -> None:
        if self._flat:
            self.add(depth, "z = x")  # the input, for ``given``
            expansion = self.kinds[k][0].expansion(k)
            self.add(depth, *expansion, "if j:", "    x = islice(x, j, None)", "for x in x:", owner=k)
            self.add(depth + 1, "j += 1")
            self._yield(depth + 1, f"end - left() - 1, j, {self._tuple('c')}")
        elif self._batch:
            self.add(depth, "b.append(x)", f"if len(b) >= n{k}:", owner=k)
            self.add(depth + 1, "x = b", "b = []")
            self._yield(depth + 1, f"end - left(), 0, {self._tuple('s')}")
        else:
            self._yield(depth, f"end - left(), 0, {self._tuple('s')}")

    def _yield(self, depth: int, cursor: str) -> None:
        if self._tracked:
            self.add(depth, f"log((page, {cursor}))")
        self.add(depth, "yield x")

    def _leave(self) -> None:
        self.add(1, "finally:")
        if self._held:
            self.add(2, f"cell.states = {self._tuple('s')}", f"cell.before = {self._tuple('c')}")
        if self._flat:
            self.add(2, "cell.expanded = j")
        if self._batch:
            self.add(2, "cell.batch = b", "if u is not None:", "    cell.unit = (page, end - u - 1)")


class _TerminalWriter(_Lines):
    """Writes the loop of a terminal: it needs no positions, so the states stay in variables."""

    def __init__(self, kinds: Kinds, emit: Emit) -> None:
        super().__init__(kinds)
        held = "".join(f"s{k}, " for k, (kind, _) in enumerate(kinds) if kind.stateful)
        self._states = f"({held})"
        if emit is Emit.ITERATE:
            self._iterating()
        else:
            self._consuming(CONSUMING[emit])

    def _iterating(self) -> None:
        self.add(0, "async def loop(drive):")
        self._unpack()
        self.add(1, "turn = drive.turn", "async with drive:")
        self.add(2, f"while it := await turn({self._states}):")
        self.parameters(3, "drive.calls")
        self._body(3, "yield x")

    def _consuming(self, line: str) -> None:
        self.add(0, "def loop(it, drive):")
        self._unpack()
        self.parameters(1, "drive.calls")
        self.add(1, "total, g = drive.total, drive.function", "try:")
        self._body(2, line)
        self.add(1, "finally:")
        self.add(2, f"drive.states, drive.total = {self._states}, total")

    def _unpack(self) -> None:
        if self._states != "()":
            self.add(1, f"{self._states} = drive.states")

    def _body(self, depth: int, line: str) -> None:
        self.add(depth, "for x in it:")
        drop = ["continue"]
        for k, (kind, called) in enumerate(self.kinds):
            self.add(depth + 1, *kind.lines(k, drop, called=called), owner=k)
            if kind.takes:
                drop = [*drop[:-1], f"if s{k} >= n{k}:", "    return", "continue"]
        self.add(depth + 1, line, *drop[:-1])
