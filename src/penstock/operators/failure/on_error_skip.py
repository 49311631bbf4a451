"""``on_error_skip``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.failures import annotate
from penstock.runtime.node import Node, node
from penstock.runtime.run import Gate
from penstock.runtime.skipping import Skipping
from penstock.runtime.stage import Stage
from penstock.runtime.stream import Stream
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow.hot import DeadLetters
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.run import Run
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["FromLetters", "Letters", "OnErrorSkip", "Skipped", "on_error_skip"]


def on_error_skip(
    function: Callable[[Exception, Any], object] | DeadLetters, *, limit: int | None = None
) -> Same:
    """Leave out the items on which a function upstream fails, and tell ``function(error, item)`` of each.

    ``item`` is what the failing function was given. It is dropped as a filter in that place would drop it:
    state and position go on, nothing is started again, and of a ``flat_map`` what came out of the item
    before stays. This holds for all operators upstream that call a plain function of each item, and for
    ``map_async`` and its relatives. An error that is not of one item, such as that of a source, still ends
    the run, and so does one that ``function`` raises: raise the error itself to let it through.

    It reaches up to the next ``retry``, ``recover``, ``on_error_resume``, ``circuit_breaker`` or
    ``on_error_skip``, which answer the errors above them, and not into flows that are built while running. A
    resumed run may tell of failures again that come right behind its position.

    Args:
        function: Called for each failure, or the ``DeadLetters`` that it goes to.
        limit: How many items a run may leave out; the next failure ends it. ``None`` sets no limit.

    Raises:
        GraphError: nothing upstream can be skipped.
    """
    if limit is not None:
        positive("on_error_skip", "limit", limit, least=0)
    letters: Letters | None = None
    told: Any = function
    if isinstance(function, Stream) and isinstance(function.node, FromLetters):
        letters = function.node.letters
        told = letters.put
    function_for("on_error_skip", told)
    return attach(lambda node: OnErrorSkip(inputs=(node,), function=told, limit=limit, letters=letters))


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that was left out, as the failing function was given it, and the error."""

    item: Any
    error: Exception


class Letters:
    """Failures on their way from any number of runs to whoever reads them."""

    __slots__ = ("_begun", "_capacity", "_gates", "_writers", "queue")

    def __init__(self, capacity: int) -> None:
        self.queue: deque[Skipped] = deque()
        self._capacity = capacity
        self._writers = 0
        self._begun = False
        self._gates: dict[Gate, None] = {}

    def put(self, error: Exception, item: Any) -> None:
        """Take one failure; one that has happened cannot wait, so this may go beyond the capacity."""
        self.queue.append(Skipped(item, error))
        self.wake()

    @property
    def full(self) -> bool:
        """Whether no run should go on before some were read."""
        return len(self.queue) >= self._capacity

    @property
    def over(self) -> bool:
        """Whether every run that could write has ended, and there was one."""
        return self._begun and not self._writers

    def enter(self) -> None:
        """Count a run that may write."""
        self._begun = True
        self._writers += 1

    def leave(self) -> None:
        """Count a run as ended."""
        self._writers -= 1
        self.wake()

    async def wait(self, gate: Gate) -> None:
        """Wait until something has changed."""
        self._gates[gate] = None
        try:
            await gate.wait()
        finally:
            self._gates.pop(gate, None)

    def wake(self) -> None:
        """Let everybody who waits look again."""
        for gate in tuple(self._gates):
            gate.open()


@node
class OnErrorSkip(Node):
    """An item on which a function upstream fails is handed to ``function(error, item)`` and left out."""

    operator = "on_error_skip"
    answers = True

    function: Callable[[Exception, Any], object]
    limit: int | None
    letters: Letters | None

    def __post_init__(self) -> None:
        """Refuse an upstream in which nothing can be skipped."""
        Node.__post_init__(self)
        if not self.inputs[0].skippable:
            msg = (
                f"on_error_skip at {self.origin} has nothing to skip: no function upstream can fail on one "
                "item and go on with the next. Put it behind a map, filter or map_async, and in front of "
                "retry, recover and on_error_resume, which answer every error above them."
            )
            raise GraphError(msg)

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that passes everything on."""
        return _OnErrorSkipStage(site, self)


class _Skipping(Skipping):
    """One run of ``on_error_skip``, for the stages upstream."""

    __slots__ = ("_left", "_letters", "_node", "_run")

    def __init__(self, run: Run, node: OnErrorSkip) -> None:
        self._run = run
        self._node = node
        self._letters = node.letters
        self._left = node.limit

    @property
    def full(self) -> bool:
        """Whether a stage that has skipped should ``pause`` before it goes on."""
        return self._letters is not None and self._letters.full and not self._run.draining

    async def pause(self, gate: Gate) -> None:
        """Wait, at a gate of the stage, until there is room for failures."""
        while self._letters is not None and self.full:
            await self._letters.wait(gate)

    def refuses(self, error: Exception, item: Any) -> Exception | None:
        """Hand a failure over; return ``None`` if it is skipped, or else what the run fails with."""
        if self._left == 0:
            limit = self._node.limit
            error.add_note(f"penstock: {self._node.describe()} had skipped {limit} items, its limit")
            return error
        try:
            self._node.function(error, item)
        except Exception as own:  # noqa: BLE001  it is handed to the stage, which fails with it
            annotate(own, self._node.describe())
            return own
        if self._left is not None:
            self._left -= 1
        return None


class _OnErrorSkipStage(Stage[Any]):
    def __init__(self, site: Site, node: OnErrorSkip) -> None:
        super().__init__(site)
        self._letters = node.letters
        above = site.above(tracked=site.tracked)
        self._inner: Upstream[Any] = replace(above, skipping=_Skipping(site.run, node)).start()
        self._writing = self._over = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._inner

    def marks(self) -> Marks:
        return self._inner.marks()

    async def _request(self, n: int) -> list[Any]:
        letters = self._letters
        if letters is None:
            return await self._inner.request(n)
        if not self._writing and not self._over:
            self._writing = True
            letters.enter()
        try:
            items = await self._inner.request(n)
        except Exception as error:
            if not self.run.over(error):
                self._leave()
            raise
        if not items:
            self._leave()
        return items

    def _leave(self) -> None:
        self._over = True
        if self._writing and self._letters is not None:
            self._writing = False
            self._letters.leave()

    async def aclose(self) -> None:
        """Close upstream first: it may have failures to tell of until then."""
        try:
            await super().aclose()
        finally:
            self._leave()


@node
class FromLetters(SourceNode):
    """Failures, in the order in which they happened; each goes to one reader."""

    operator = "dead_letters"
    stateful = False

    letters: Letters

    @property
    def obstacle(self) -> Node:
        """This node itself: it has no position."""
        return self

    def start(self, site: Site) -> Stage[Any]:
        """Start a reader."""
        return _LettersStage(site, self.letters)


class _LettersStage(Stage[Skipped]):
    def __init__(self, site: Site, letters: Letters) -> None:
        super().__init__(site)
        self._letters = letters
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Skipped]:
        letters = self._letters
        if self.run.strained():
            await self.run.breathe()
        while not letters.queue and not letters.over and not self.run.draining:
            await letters.wait(self._gate)
        out = [letters.queue.popleft() for _ in range(min(n, len(letters.queue)))]
        if out:
            letters.wake()
        return out
