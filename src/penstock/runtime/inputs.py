"""Stages with several inputs: a task for each input, and a loop that waits for any of them."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from penstock.runtime.history import History
from penstock.runtime.input import Input
from penstock.runtime.run import LARGEST_SLICE, Gate, Pace
from penstock.runtime.stage import Stage
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from penstock.runtime.input import Place
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import States, Upstream


class withdrawing:  # noqa: N801  reads like a statement
    """A block in which a request waits for inputs. If it is cancelled, the requests to the inputs are too."""

    __slots__ = ("_stage",)

    def __init__(self, stage: JoinStage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._stage.withdraw()
        else:
            self._stage.rest()


class JoinStage(Stage[Any]):
    """A stage with several inputs: a loop that collects items from them, or waits for any of them.

    A request returns as soon as it has collected something, so its items come from at most one chunk of each
    input. Positions inside them need only ``start`` (where all inputs stood before) and how many items were
    taken from each input.

    There may be thousands of inputs, so a request looks only at those that tell it something: ``idle`` are
    those that may be asked, ``alive`` is how many have not ended, ``arrived`` is called with each that holds
    a new chunk or has ended.
    """

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.ready = Gate(self.run, own=True)
        self.changed: list[Input] = []
        """The inputs whose place has changed since the history has it."""
        self.idle: dict[Input, None] = {}
        self.alive = 0
        self.patient = True
        """Whether inputs that need no task may wait for the pause of a strained run, and be asked again then.

        If none of them got an answer before the pause, they are asked by tasks, however long all else takes.
        """
        self.put_off = False
        """Whether some of them wait for the pause."""
        self._answers = 0
        self.wanted = 0
        """How many items the present request asks of each input."""
        self._requesting: dict[Input, None] = {}  # whose tasks request, or will
        self._asked_now: list[Input] = []  # those of them that were asked in the present request
        self.faults: list[Input] = []
        """The inputs that have failed."""
        self._pace = Pace(LARGEST_SLICE)
        self._history: History[int, Place] = History({})
        self.inputs = [Input(above.start(), self) for above in self.sites()]
        self.start: Places | None = None
        self.done = False

    def sites(self) -> Sequence[Site]:
        """Return where the inputs are started; called once, before there are inputs."""
        return [self.site.above(i) for i in range(len(self.site.vertex.inputs))]

    @property
    def inputs(self) -> list[Input]:
        """The inputs. A stage that replaces some of them sets a new list."""
        return self._inputs

    @inputs.setter
    def inputs(self, inputs: list[Input]) -> None:
        self._inputs = inputs
        for one in self.changed:
            one.moved = False
        self.changed.clear()
        for index, one in enumerate(inputs):
            one.index = index
        self._history = History({one.index: one.place for one in inputs})
        self.idle = {one: None for one in inputs if one.idle}
        self.alive = sum(not one.ended for one in inputs)
        self.faults = [one for one in inputs if one.failure is not None]

    @property
    def buffered(self) -> int:
        return sum(one.left for one in self.branches())

    def upstreams(self) -> Iterator[Upstream[Any]]:
        for one in self.branches():
            yield one.stage

    def branches(self) -> list[Input]:
        """Return all inputs, if ``inputs`` are not all."""
        return self.inputs

    # -- what the inputs call

    def told(self, one: Input) -> None:
        """Note that an input holds a new chunk, or has ended."""
        self._answers += 1
        self._requesting.pop(one, None)
        if not one.moved:
            one.note()
        if one.ended:
            self.alive -= 1
            if one.failure is not None:
                self.faults.append(one)
        self.arrived(one)
        self.ready.open()

    def asking(self, one: Input) -> None:
        """Note that an input was asked."""
        self.idle.pop(one, None)
        if one not in self._requesting:
            self._requesting[one] = None
            self._asked_now.append(one)

    def forget(self, one: Input) -> None:
        """Note that an input was released."""
        self.idle.pop(one, None)
        self._requesting.pop(one, None)

    def arrived(self, one: Input) -> None:
        """Do what a subclass needs when an input holds a new chunk, or has ended."""

    # -- places

    def note_changes(self) -> None:
        """Write the changed places into the history, and look which inputs are idle."""
        for one in self.changed:
            one.moved = False
            self.record(one)
            if one.taken >= one.size and one.idle:
                self.idle[one] = None
        self.changed.clear()

    def record(self, one: Input) -> None:
        """Write the place of an input into the history."""
        self._history.put(one.index, (one.page, one.taken))

    def now(self) -> Places:
        """Return where the inputs stand now."""
        self.note_changes()
        return Places(self._history.now())

    def places(self) -> Places:
        """Return where the inputs stood before the last chunk, or stand now if there was none."""
        return self.start if self.start is not None else self.now()

    # -- what subclasses write

    @abstractmethod
    def collect(self, n: int) -> list[Any]:
        """Return up to ``n`` items, made from the items that the inputs hold."""

    @abstractmethod
    def over(self) -> bool:
        """Return whether the stage has ended, when nothing could be collected; raise an input's failure."""

    def waits(self) -> bool:
        """Return whether some input holds no item and may still get one."""
        return bool(self.idle or self._requesting)

    def throw(self) -> None:
        """Raise the failure of the first input that has no items left before it."""
        if self.faults:
            failed = min((one for one in self.faults if one.failed), key=lambda one: one.index, default=None)
            if failed is not None and failed.failure is not None:
                failed.failure.throw()

    def begin(self) -> None:
        """Forget the last chunk: a new request means that it was received."""
        self.start = None

    def prepare(self) -> None:
        """Do what a subclass needs before ``start`` is noted."""

    def ask(self, n: int) -> None:
        """Let every input without items request up to ``n``."""
        for one in tuple(self.idle):
            one.want(n)

    # -- requests

    async def _request(self, n: int) -> list[Any]:
        self.begin()
        if self.run.strained():
            await self.run.breathe()
        clock = self.run.clock.monotonic
        self.wanted = min(n, LARGEST_SLICE)
        while not self.done:
            answers = self._answers
            self.prepare()
            start, began = self.now(), clock()
            out = self.collect(min(n, self._pace.size))
            if out:
                self._pace.took(clock() - began)
                self.start = start
                return out
            if self.over():
                self.finish()
                break
            self.note_changes()
            self.put_off = False
            self.ask(self.wanted)
            self.patient = self._answers > answers
            pauses = self.put_off or self.run.strained()
            with withdrawing(self):
                await (self.run.breathe() if pauses else self.ready.wait())
        return []

    def rest(self) -> None:
        """Let the inputs that were asked and have not begun request nothing."""
        for one in self._asked_now:
            if one.rest():
                self.idle[one] = None
                self._requesting.pop(one, None)
        self._asked_now.clear()

    def withdraw(self) -> None:
        """Cancel the requests of all inputs."""
        for one in self._requesting:
            one.withdraw()
            if one.idle:
                self.idle[one] = None
        self._requesting.clear()
        self._asked_now.clear()

    def finish(self) -> None:
        """End, and close every input that has not ended."""
        self.done = True
        if not self.run.draining:
            for one in self.branches():
                if not one.ended:
                    one.release()

    async def _stop(self) -> None:
        await close_all([one.stop for one in self.branches()])

    def forget_failures(self) -> None:
        super().forget_failures()
        for one in self.branches():
            one.forget()


class Places(Sequence["Place"]):
    """Where all inputs of a stage stood at one moment. Nothing is computed before somebody looks."""

    __slots__ = ("_found", "then")

    def __init__(self, then: Callable[[], dict[int, Any]]) -> None:
        self.then = then
        self._found: list[Place] | None = None

    def _places(self) -> list[Place]:
        if self._found is None:
            self._found = list(self.then().values())
        return self._found

    def __len__(self) -> int:
        return len(self._places())

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Place]: ...
    def __getitem__(self, index: int | slice) -> Place | Sequence[Place]:
        return self._places()[index]

    def states(self, counts: Mapping[int, int]) -> States:
        """Return the states above, where each input stands ``counts`` items, or none, behind its place."""
        return places_of(self, [counts.get(k, 0) for k in range(len(self))])


def places_of(places: Sequence[Place], counts: Sequence[int]) -> States:
    """Return the states above, where each input stands ``counts`` items behind its place."""
    states: States = {}
    for (page, at), count in zip(places, counts, strict=True):
        states.update(page(at + count))
    return states
