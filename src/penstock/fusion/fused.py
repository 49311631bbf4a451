"""Neighbouring synchronous operators as one stage: one generator function, compiled per stage.

Why generated code: a Python loop over a list that calls the functions in place is the fastest form that keeps
side effects in order, runs item by item, stops at the requested item, and fails at a line that names its
operator. Composed C iterators are slower, and they end silently when a user's function raises
``StopIteration``.

A stage has any number of elements that pass an item on or drop it. The last one may change the number of
items (``flat_map``, ``batch``).

**Positions cost nothing per item.** While the generator is suspended at a ``yield``, the list iterator that
it reads knows how many inputs are left, and the generator's frame holds the states. Both are read only when
a position is asked for. Only a *tracked* stage, which has a stage behind it that holds items, stores a cursor
per output.

A *cursor* is ``(page, offset, expanded, states)``: upstream stands behind the first ``offset`` items of the
chunk whose marks are ``page``; ``expanded`` items of the next input's expansion were emitted; ``states`` are
the states before that input. ``page(offset)`` returns upstream's position.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from penstock.fusion.loops import compile_loop
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.run import STRETCH, Gate, Pace
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import GeneratorType

    from penstock.fusion.loop_element import LoopElement
    from penstock.runtime.node import Site, Vertex
    from penstock.runtime.upstream import Marks, States, Upstream

    Cursor = tuple[Marks, int, int, tuple[Any, ...]]


class Cell:
    """What one slice leaves for the next: the generator reads it at its start and writes it at its end."""

    __slots__ = ("batch", "before", "expanded", "states", "unit")

    def __init__(self, states: tuple[Any, ...], expanded: int) -> None:
        self.states = states
        """States behind the last input."""
        self.before = states
        """States before the current input, or before the first input of the unfinished batch."""
        self.expanded = expanded
        """How many items of the current input's expansion were emitted."""
        self.batch: list[Any] = []
        """The unfinished batch."""
        self.unit: tuple[Marks, int] | None = None
        """The place of the first input of the unfinished batch: a page and an offset in it."""


class FusedStage(Stage[Any]):
    """A run of elements over the chunks of one upstream; each chunk is a *page* here."""

    def __init__(self, chain: list[Site], upstream: Upstream[Any]) -> None:
        super().__init__(chain[-1])
        self._upstream = upstream
        self._vertices = [one.vertex for one in chain]
        self._elements = [cast("LoopElement", one.vertex.node) for one in chain]
        self._calls = [element.checked() for element in self._elements]
        self._tracked = chain[-1].tracked
        last = self._elements[-1]
        self._last = last if last.reshapes else None
        self._expands, self._gathers = last.expands, last.gathers
        self._held = [k for k, element in enumerate(self._elements) if element.held()]
        expanded = last.expanded(chain[-1].state) if last.expands else 0
        self._cell = Cell(tuple(self._elements[k].restore(chain[k].state) for k in self._held), expanded)
        self._skipping = chain[-1].skipping
        self.instant = upstream.instant and self._skipping is None
        self._gate = Gate(self.run)
        self._one_to_one = self._skipping is None and all(element.one_to_one for element in self._elements)
        self._loop = compile_loop(tuple(self._elements), tracked=self._tracked and not self._one_to_one)
        self._pace = Pace()
        self._page: list[Any] = []
        self._base = upstream.marks()
        self._taken = 0  # how many items of the page were put into slices
        self._slice: Any = iter(())
        self._generator: GeneratorType[Any, None, None] | None = None
        self._log: list[Cursor] = []
        self._start: Cursor | None = None
        self._first: Cursor | None = None  # where the last chunk begins, in the page it came from
        self._failure: Failure | None = None
        self._ended = False

    def title(self) -> str:
        return "|".join(element.operator for element in self._elements)

    def vertices(self) -> Sequence[Vertex]:
        return self._vertices

    @property
    def buffered(self) -> int:
        """Inputs of the page that were not processed yet, and inputs in the unfinished batch."""
        left: int = self._slice.__length_hint__()
        return len(self._page) - self._taken + left + len(self._cell.batch)

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        """Whether upstream is, and all that it returned was processed, into no more than one item each."""
        if self._last is not None or self._failure is not None or not self._upstream.exhausted:
            return False
        left: int = self._slice.__length_hint__()
        return self._taken >= len(self._page) and not left

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    async def _request(self, n: int) -> list[Any]:
        run = self.run
        if self._tracked:
            self._start = self._first = self._cursor()
            self._log.clear()
        if self._failure is not None:
            self._failure.throw()
        out: list[Any] = []
        began = run.clock.monotonic()
        while not self._ended:
            if began - run.stretch > STRETCH:
                await run.breathe()
            if self._skipping is not None and self._skipping.full:
                if out:
                    return out
                await self._skipping.pause(self._gate)
            if self._generator is None:
                if self._taken >= len(self._page) and not await self._turn_page(n):
                    break
                self._open_slice()
                began = run.clock.monotonic()
            if self._pull(out, n):
                return out
            began, before = run.clock.monotonic(), began
            self._pace.took(began - before)
            if out and (self._taken >= len(self._page) or began - run.stretch > STRETCH):
                return out
        return out or await self._finish(n)

    async def _turn_page(self, n: int) -> bool:
        """Get the next page; return whether there is one."""
        if self._held and self._finished(self._cell.states):
            self._end_early()
            return False
        page = await self._upstream.request(self._demand(n) if self._held or self._last is not None else n)
        self._base = self._upstream.marks()
        self._page = page
        self._taken = 0
        self._slice = iter(())
        if self._tracked:
            self._first = (self._base, 0, 0, ())
        self._ended = not page
        return not self._ended

    def _open_slice(self) -> None:
        start, page = self._taken, self._page
        self._taken = end = min(start + self._pace.size, len(page))
        self._slice = iter(page if end - start == len(page) else page[start:end])
        self._generator = self._loop.run(
            self._slice, self._calls, self._cell, self._base, end, self._log.append
        )

    def _pull(self, out: list[Any], n: int) -> bool:
        """Run the slice until there are ``n`` outputs or it ends; true if the chunk is complete.

        Inputs that expand can have any number of outputs. A slice has no more of these than inputs.
        """
        most = min(n - len(out), self._pace.size) if self._expands else n - len(out)
        full = len(out) + most
        try:
            out.extend(islice(cast("Any", self._generator), most))
        except BaseException as error:  # noqa: BLE001  raised again, now or behind the outputs before it
            self._generator = None
            k = self._loop.blame(error)
            error = raised_by_user(error, self._vertices[-1 if k is None else k].node.describe())
            self._failure = self._refused(error, k, out)
            if self._failure is not None:
                if out and not isinstance(error, KeyboardInterrupt | SystemExit):
                    return True  # outputs before the failure are delivered first (law 4)
                self._failure.throw()
        if len(out) == n:
            if self._held and self._last is None and self._finished(self._now()):
                self._end_early()
            return True
        if len(out) == full:
            return False  # it may have more outputs
        self._generator = None
        if self._held and self._finished(self._cell.states):
            self._end_early()
        return False

    def _refused(self, error: BaseException, k: int | None, out: list[Any]) -> Failure | None:
        """Return the failure of the run, or ``None`` if the input on which element ``k`` failed was handled.

        Then it is dropped as if by a filter in the element's place: the elements before it have counted it.
        Or a value in ``out`` replaces it; the elements behind ``k`` do not see that value.
        """
        if self._skipping is None or k is None or not isinstance(error, Exception):
            return Failure(error)
        item = self._loop.given(error, self._elements[k])
        answer = self._skipping.handle(error, item, self._elements[k])
        if isinstance(answer, BaseException):
            return Failure(answer)
        self._taken -= self._slice.__length_hint__()
        self._slice = iter(())
        self._cell.expanded = 0
        if answer is None:
            self.dropped += 1
        else:
            out.append(answer.value)
            if self._tracked:
                self._log.append(self._cursor())
        return None

    def _finished(self, states: tuple[Any, ...]) -> bool:
        return any(self._elements[k].finished(state) for k, state in zip(self._held, states, strict=True))

    def _end_early(self) -> None:
        """Complete before upstream does, and close upstream."""
        generator, self._generator = self._generator, None
        if generator is not None:
            generator.close()
        self._ended = True
        self.run.release(self._upstream)

    async def _finish(self, n: int) -> list[Any]:  # noqa: ARG002  for overrides
        """At the end, return the unfinished batch."""
        batch, self._cell.batch = self._cell.batch, []
        if not batch:
            return []
        if self._tracked:
            self._log.append(self._cursor())
        return [batch]

    def _demand(self, n: int) -> int:
        if self._gathers:
            n = n * self._elements[-1].number - len(self._cell.batch)
        for k, state in zip(reversed(self._held), reversed(self._cell.states), strict=True):
            n = self._elements[k].demand(n, state)
        return n

    def _now(self) -> tuple[Any, ...]:
        """Return the states behind the last output of a stage that does not end with ``flat_map``."""
        if self._generator is None:
            return self._cell.states
        values = cast("Any", self._generator).gi_frame.f_locals
        return tuple(values[f"s{k}"] for k in self._held)

    def _cursor(self) -> Cursor:
        """Return the cursor behind the last output, or before the input that failed."""
        cell = self._cell
        offset = self._taken - self._slice.__length_hint__()
        working = self._generator is not None
        if self._expands and working:
            values = cast("Any", self._generator).gi_frame.f_locals
            return self._base, offset - 1, values["j"], tuple(values[f"c{k}"] for k in self._held)
        if self._gathers and not working and cell.unit and (cell.batch or self._failure):
            return (*cell.unit, 0, cell.before)
        if self._failure is not None:
            return self._base, offset - 1, cell.expanded, cell.before
        return self._base, offset, cell.expanded, self._now()

    def _at(self, i: int) -> Cursor:
        """Return the cursor behind the first ``i`` items of the last chunk."""
        if self._tracked and self._one_to_one and self._first is not None:
            return self._first[0], self._first[1] + i, 0, ()
        if not self._tracked or self._start is None or i >= len(self._log):
            return self._cursor()
        return self._log[i - 1] if i else self._start

    def marks(self) -> Marks:
        first = self._first
        if self._one_to_one and first is not None:
            base, offset, _, _ = first
            return lambda i: base(offset + i)
        here, start, log = self._cursor(), self._start, tuple(self._log)
        if not self._tracked or start is None:
            return lambda _: self._states(here)
        return lambda i: self._states(here if i >= len(log) else log[i - 1] if i else start)

    def _states(self, cursor: Cursor) -> States:
        page, offset, expanded, states = cursor
        result = dict(page(offset))
        for k, state in zip(self._held, states, strict=True):
            result[self._vertices[k].id] = self._elements[k].dump(state)
        if self._expands:
            result[self._vertices[-1].id] = self._elements[-1].dump_expanded(
                states[-1] if states else None, expanded
            )
        return result

    async def settle(self, count: int) -> None:
        """Acknowledge the inputs of the current page that the first ``count`` outputs complete."""
        page, offset, _, _ = self._at(count)
        if page is self._base:
            await self._upstream.settle(offset)

    async def _stop(self) -> None:
        generator, self._generator = self._generator, None
        self._ended = True
        if generator is not None:
            generator.close()
