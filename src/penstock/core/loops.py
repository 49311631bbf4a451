"""Writing, compiling and blaming the loop of a fused stage.

The loop of ``map | filter | scan``, with nothing behind it that holds items, reads::

    def loop(it, elements, cell, page, end, log):
        f0 = elements[0].function
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

It can be seen in any traceback that goes through it, and belongs to no file.
"""

from __future__ import annotations

import linecache
from functools import lru_cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from penstock.core.elements import Batch, FlatMap, Take

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import GeneratorType

    from penstock.core.elements import Element

__all__ = ["Loop", "compile_loop"]

_serial = count(1)


class Loop:
    """A compiled loop, and which of its lines belongs to which element."""

    __slots__ = ("_file", "_owners", "run")

    def __init__(
        self, run: Callable[..., GeneratorType[Any, None, None]], file: str, owners: dict[int, int]
    ) -> None:
        self.run = run
        self._file = file
        self._owners = owners

    def blame(self, error: BaseException) -> int:
        """Return the index of the element in whose line ``error`` left the loop."""
        trace = error.__traceback__
        found = -1
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._file:
                found = self._owners.get(trace.tb_lineno, found)
            trace = trace.tb_next
        return found


def compile_loop(elements: tuple[Element, ...], *, tracked: bool) -> Loop:
    """Return the loop for ``elements``; loops of the same kinds of elements are compiled once."""
    return _compile(tuple((type(element), element.function is not None) for element in elements), tracked)


@lru_cache(maxsize=512)
def _compile(kinds: tuple[tuple[type[Element], bool], ...], tracked: bool) -> Loop:  # noqa: FBT001  a cache key
    writer = _Writer(kinds, tracked=tracked)
    source = "\n".join(writer.lines) + "\n"
    title = "|".join(kind.operator for kind, _ in kinds)
    file = f"<penstock stage {next(_serial)}: {title}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"islice": islice}
    exec(compile(source, file, "exec"), scope)  # noqa: S102  only text of ours: no user string enters it
    return Loop(scope["loop"], file, writer.owners)


class _Writer:
    """Puts the loop together from the lines of its elements."""

    def __init__(self, kinds: tuple[tuple[type[Element], bool], ...], *, tracked: bool) -> None:
        self.lines: list[str] = []
        self.owners: dict[int, int] = {}
        last = kinds[-1][0]
        self._flat = issubclass(last, FlatMap)
        self._batch = issubclass(last, Batch)
        self._tracked = tracked
        self._held = [k for k, (kind, _) in enumerate(kinds) if kind.stateful and not kind.ends]
        self._add(0, "def loop(it, elements, cell, page, end, log):")
        self._unpack(kinds)
        guarded = bool(self._held) or self._flat or self._batch
        depth = 2 if guarded else 1
        if guarded:
            self._add(1, "try:")
        self._add(depth, "for x in it:")
        self._body(kinds, depth + 1)
        if guarded:
            self._leave()

    def _add(self, depth: int, *lines: str, owner: int | None = None) -> None:
        for line in lines:
            self.lines.append("    " * depth + line)
            if owner is not None:
                self.owners[len(self.lines)] = owner

    def _tuple(self, letter: str) -> str:
        return "(" + "".join(f"{letter}{k}, " for k in self._held) + ")"

    def _unpack(self, kinds: tuple[tuple[type[Element], bool], ...]) -> None:
        for k, (_, called) in enumerate(kinds):
            self._add(1, f"f{k} = elements[{k}].function" if called else f"n{k} = elements[{k}].number")
        if self._held:
            self._add(1, f"{self._tuple('s')} = cell.states", f"{self._tuple('c')} = cell.before")
        if self._flat:
            self._add(1, "j = cell.expanded")
        if self._batch:
            self._add(1, "b = cell.batch", "u = None")
        if self._batch or self._tracked:
            self._add(1, "left = it.__length_hint__")

    def _body(self, kinds: tuple[tuple[type[Element], bool], ...], depth: int) -> None:
        copies = [f"c{k} = s{k}" for k in self._held]
        if self._batch:
            self._add(depth, "if not b:")
            self._add(depth + 1, *copies, "u = left()")
        else:
            self._add(depth, *copies)
        drop = (["j = 0"] if self._flat else []) + ["continue"]
        for k, (kind, called) in enumerate(kinds):
            if not kind.ends:
                self._add(depth, *kind.lines(k, drop, called=called), owner=k)
            if issubclass(kind, Take):
                drop = [*drop[:-1], f"if s{k} >= n{k}:", "    return", "continue"]
        self._emit(len(kinds) - 1, depth)
        self._add(depth, *drop[:-1])

    def _emit(self, k: int, depth: int) -> None:
        if self._flat:
            self._add(depth, f"x = f{k}(x)", "if j:", "    x = islice(x, j, None)", "for x in x:", owner=k)
            self._add(depth + 1, "j += 1")
            self._yield(depth + 1, f"end - left() - 1, j, {self._tuple('c')}")
        elif self._batch:
            self._add(depth, "b.append(x)", f"if len(b) >= n{k}:", owner=k)
            self._add(depth + 1, "x = b", "b = []")
            self._yield(depth + 1, f"end - left(), 0, {self._tuple('s')}")
        else:
            self._yield(depth, f"end - left(), 0, {self._tuple('s')}")

    def _yield(self, depth: int, cursor: str) -> None:
        if self._tracked:
            self._add(depth, f"log((page, {cursor}))")
        self._add(depth, "yield x")

    def _leave(self) -> None:
        self._add(1, "finally:")
        if self._held:
            self._add(2, f"cell.states = {self._tuple('s')}", f"cell.before = {self._tuple('c')}")
        if self._flat:
            self._add(2, "cell.expanded = j")
        if self._batch:
            self._add(2, "cell.batch = b", "if u is not None:", "    cell.unit = (page, end - u - 1)")
