"""The operator ``on_error_skip``: skip failing items, and the flow of dead letters that it can feed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import BranchStuck, GraphError
from penstock.operators.attach import attach
from penstock.operators.failure.answering import Answering, Answers, limits
from penstock.runtime.arguments import at, function_for
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, runs
from penstock.runtime.stream import Stream
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow.hot import DeadLetters
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.run import Run
    from penstock.runtime.skipping import Skipping
    from penstock.runtime.upstream import Marks, Upstream


log = logging.getLogger("penstock.dead_letters")

__all__ = ["DeadLetterQueue", "DeadLetterSource", "OnErrorSkip", "Skipped", "on_error_skip"]


def on_error_skip(
    function: Callable[[Exception, Any], object] | DeadLetters,
    *,
    limit: int | None = None,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Same:
    """Skip each item on which a function upstream fails, and call ``function(error, item)``.

    ``item`` is the argument of the failing function, not the item of the source. It is dropped as a filter
    would drop it there: state and position go on, and nothing is restarted. Items that a ``flat_map``
    produced from it before the error stay. The function may be called before earlier items of the same
    request are delivered; ``on_error_replace`` keeps the place of each failure.

    This works for all operators upstream that call a plain function for each item, and for ``map_async`` and
    its relatives. An error that belongs to no single item, such as one of a source, ends the run. So does an
    error that ``function`` raises; to let an error through, raise it there.

    Several of them may stand in one flow. An error that one of them lets through, because it is of another
    kind or because the function raised it, goes to the next one downstream.

    It reaches up to the next ``retry``, ``recover``, ``on_error_resume`` or ``circuit_breaker``, which handle
    the errors upstream of them, but not into flows that are built at run time. A resumed run may report
    failures right after its position again.

    Args:
        function: Called for each failure, or the ``DeadLetters`` that receives the failures.
        limit: How many items a run may skip in total, not in a row; the next failure ends it. ``None`` sets
            no limit.
        errors: The kinds of errors whose items are skipped.

    Raises:
        GraphError: nothing upstream can be skipped.
    """
    limits("on_error_skip", limit, errors)
    letters: DeadLetterQueue | None = None
    report: Any = function
    if isinstance(function, Stream) and isinstance(function.node, DeadLetterSource):
        letters = function.node.letters
        report = letters.put
    function_for("on_error_skip", report)
    return attach(
        lambda node: OnErrorSkip(inputs=(node,), function=report, limit=limit, letters=letters, errors=errors)
    )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A skipped item, as the failing function received it, and the error."""

    item: Any
    error: Exception


class DeadLetterQueue:
    """Failures of any number of runs, until a reader takes them."""

    __slots__ = ("_begun", "_capacity", "_gates", "_patience", "_writers", "failures", "readers")

    def __init__(self, capacity: int, patience: float | None) -> None:
        self.failures: deque[Skipped] = deque()
        self.readers: set[object] = set()
        self._capacity = capacity
        self._patience = patience
        self._writers: set[object] = set()
        self._begun = False
        self._gates: dict[Gate, None] = {}

    def put(self, error: Exception, item: Any) -> None:
        """Add a failure, even beyond the capacity: a failure that happened cannot wait."""
        self.failures.append(Skipped(item, error))
        self.wake()

    @property
    def full(self) -> bool:
        """Whether runs should pause until a failure is read."""
        return len(self.failures) >= self._capacity

    @property
    def over(self) -> bool:
        """Whether all writing runs have ended, and there was at least one."""
        return self._begun and not self._writers

    def enter(self, run: object) -> None:
        """Register a run that may write."""
        self._begun = True
        self._writers.add(run)

    def leave(self, run: object) -> None:
        """Register the end of a run."""
        self._writers.discard(run)
        self.wake()

    async def wait(self, gate: Gate, deadline: float | None = None) -> None:
        """Wait until the queue or its writers change, or until ``deadline``."""
        self._gates[gate] = None
        try:
            await gate.wait(deadline)
        finally:
            self._gates.pop(gate, None)

    async def wait_for_room(self, gate: Gate, waits: Callable[[], bool], where: str) -> None:
        """Wait while the queue is full and ``waits()``.

        Raises:
            BranchStuck: nobody has begun to read within the seconds of ``patience``.
        """
        clock = asyncio.get_running_loop().time
        due = None if self._patience is None else clock() + self._patience
        while waits():
            await self.wait(gate, due)
            if due is not None and clock() >= due and waits():
                self._give_up(where)
                due = None

    def _give_up(self, where: str) -> None:
        """Fail if nobody reads; otherwise log a warning."""
        full = f"the DeadLetters of {where} are full ({self._capacity} failures)"
        seconds = f"{self._patience:g} s"
        if self.readers:
            log.warning("penstock: %s and have held the run back for %s: their reader is slow", full, seconds)
            return
        msg = (
            f"{full}, and nobody has begun to read them for {seconds}. Read them at the same time, as in "
            "asyncio.gather(good.to_list(), letters.to_list()), or raise their capacity."
        )
        raise BranchStuck(msg)

    def wake(self) -> None:
        """Wake all waiting runs and readers."""
        for gate in tuple(self._gates):
            gate.open()


@node
class OnErrorSkip(Answers):
    """Skips items on which a function upstream fails, and calls ``function(error, item)``."""

    operator = "on_error_skip"

    function: Callable[[Exception, Any], object]
    letters: DeadLetterQueue | None

    def __post_init__(self) -> None:
        """Refuse an upstream in which nothing can be skipped."""
        Node.__post_init__(self)
        if not self.inputs[0].skippable:
            msg = (
                f"on_error_skip{at(self.origin)} has nothing to skip: no function upstream can fail on one "
                "item and continue with the next. Put it after a map, filter or map_async, and before retry, "
                "recover and on_error_resume, which handle every error upstream of them."
            )
            raise GraphError(msg)


class _Skipping(Answering):
    """One run of ``on_error_skip``, as the stages upstream see it."""

    __slots__ = ("_function", "_letters", "_origin", "_run")

    did = "skipped"

    def __init__(self, run: Run, node: OnErrorSkip, following: Skipping | None) -> None:
        super().__init__(node, following)
        self._run = run
        self._function = node.function
        self._letters = node.letters
        self._origin = node.origin

    @property
    def full(self) -> bool:
        return self._full or super().full

    @property
    def _full(self) -> bool:
        return self._letters is not None and self._letters.full and not self._run.draining

    async def pause(self, gate: Gate) -> None:
        if self._letters is not None and self._full:
            await self._letters.wait_for_room(gate, lambda: self._full, self._node.describe())
        await super().pause(gate)

    def answer(self, error: Exception, item: Any) -> None:
        plain_result(self._function(error, item), "on_error_skip", self._origin)


@runs(OnErrorSkip)
class _OnErrorSkipStage(Stage[Any]):
    def __init__(self, site: Site, node: OnErrorSkip) -> None:
        super().__init__(site)
        self._letters = node.letters
        above = site.above(tracked=site.tracked)
        self._upstream: Upstream[Any] = replace(
            above, skipping=_Skipping(site.run, node, site.skipping)
        ).start()
        self._over = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    def marks(self) -> Marks:
        return self._upstream.marks()

    async def _request(self, n: int) -> list[Any]:
        if self._letters is not None and not self._over:
            self._letters.enter(self)
        try:
            items = await self._upstream.request(n)
        except Exception as error:
            if not self.run.over(error):
                self._leave()
            raise
        if not items:
            self._leave()
        return items

    def _leave(self) -> None:
        self._over = True
        if self._letters is not None:
            self._letters.leave(self)

    async def aclose(self) -> None:
        """Close upstream first: until then it may report failures."""
        try:
            await super().aclose()
        finally:
            self._leave()


@node
class DeadLetterSource(SourceNode):
    """Failures in the order in which they happened; each goes to one reader."""

    operator = "dead_letters"
    stateful = False

    letters: DeadLetterQueue

    @property
    def obstacle(self) -> Node:
        return self


@runs(DeadLetterSource)
class _DeadLetterStage(Stage[Skipped]):
    def __init__(self, site: Site, node: DeadLetterSource) -> None:
        super().__init__(site)
        self._letters = node.letters
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Skipped]:
        letters = self._letters
        letters.readers.add(self)
        if self.run.strained():
            await self.run.breathe()
        while not letters.failures and not letters.over and not self.run.draining:
            await letters.wait(self._gate)
        out = [letters.failures.popleft() for _ in range(min(n, len(letters.failures)))]
        if out:
            letters.wake()
        return out

    async def _stop(self) -> None:
        self._letters.readers.discard(self)
