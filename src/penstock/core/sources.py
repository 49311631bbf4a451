"""Sources that need no task of their own: plain iterables and the trivial ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from penstock.core.inner import Building, Inner
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.run import STRETCH, Gate, Pace
from penstock.core.stage import Stage
from penstock.errors import AlreadySubscribed

if TYPE_CHECKING:
    from penstock.core.graph import Site
    from penstock.core.stage import Marks

__all__ = ["Defer", "Fail", "FromIterable", "Never", "OneShot", "SourceNode"]

QUICK = (list, tuple, range, str, bytes, dict, set, frozenset)
"""Iterables whose items are there already: no slice of them can be slow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceNode(Node):
    """A node without inputs: it holds what it was asked for, no more."""

    stateful = True

    def bound(self, n: int) -> float:
        """Return ``n``."""
        return n


class OneShot:
    """An input that can run once: the second subscription is told so, instead of finding it empty."""

    __slots__ = ("_advice", "_input", "_used")

    def __init__(
        self, one: Any, advice: str = "from_iterable(rows) instead of from_iterable(rows())"
    ) -> None:
        self._input = one
        self._advice = advice
        self._used = False

    def __call__(self) -> Any:
        """Return the input, once."""
        if self._used:
            msg = (
                f"{type(self._input).__name__} can be read once, and an earlier subscription has begun to. "
                f"Pass a function that makes a new one: {self._advice}"
            )
            raise AlreadySubscribed(msg)
        self._used = True
        return self._input


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromIterable(SourceNode):
    """Items of a plain iterable, or of the one that a factory returns; the position is an index."""

    operator = "from_iterable"

    items: Iterable[Any] | Callable[[], Iterable[Any]]

    @property
    def once(self) -> Node | None:
        """This node, if its input is an iterator."""
        return self if isinstance(self.items, OneShot) else None

    def start(self, site: Site) -> Stage[Any]:
        """Start reading; the factory is called at the first request."""
        return _IterableStage(site, self)


class _IterableStage(Stage[Any]):
    def __init__(self, site: Site, node: FromIterable) -> None:
        super().__init__(site)
        self._node = node
        self._index: int = site.state or 0
        self._to_skip = self._index
        self._before = self._index
        self._iterator: Iterator[Any] | None = None
        self._quick = False
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        key, before = self.site.vertex.id, self._before
        return lambda i: {key: before + i}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._index
        if self._failure is not None:
            self._failure.throw()
        if self._ended or self.run.draining:
            return []
        out: list[Any] = []
        try:
            iterator = self._iterator or self._open()
            if self._to_skip:
                await self._skip(iterator)
            if self._quick:
                out = list(islice(iterator, n))
            else:
                if self.run.strained():
                    await self.run.breathe()
                self._fill(iterator, out, n)
        except Exception as error:
            annotate(error, self._node.describe())
            self._failure = Failure(error)
            if not out:
                raise
        self._index += len(out)
        self._ended = not out
        return out

    def _open(self) -> Iterator[Any]:
        items = self._node.items
        if callable(items):
            items = items()
        self._quick = type(items) in QUICK
        if self._quick and self._to_skip:  # an index, or a walk that takes no time to speak of
            skip, self._to_skip = self._to_skip, 0
            if isinstance(items, range):
                items, skip = items[skip:], 0
            self._iterator = islice(cast("Collection[Any]", items), skip, None)
        else:
            self._iterator = iter(items)
        return self._iterator

    async def _skip(self, iterator: Iterator[Any]) -> None:
        """Walk past what earlier runs have settled, fairly."""
        while self._to_skip:
            began = self.run.clock.monotonic()
            size = min(self._pace.size, self._to_skip)
            walked = sum(1 for _ in islice(iterator, size))
            self._to_skip = self._to_skip - walked if walked == size else 0
            self._pace.took(self.run.clock.monotonic() - began)
            if self.run.strained():
                await self.run.breathe()

    def _fill(self, iterator: Iterator[Any], out: list[Any], n: int) -> None:
        while len(out) < n:
            began, size = self.run.clock.monotonic(), min(self._pace.size, n - len(out))
            before = len(out)
            out.extend(islice(iterator, size))
            if len(out) - before < size:
                return
            now = self.run.clock.monotonic()
            self._pace.took(now - began)
            if now - self.run.stretch > STRETCH:
                return

    async def _stop(self) -> None:
        iterator, self._iterator = self._iterator, None
        self._ended = True
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fail(SourceNode):
    """No item, only an error."""

    operator = "fail"
    stateful = False

    error: Exception | Callable[[], Exception]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that fails at its first request."""
        return _FailStage(site, self)


class _FailStage(Stage[Any]):
    def __init__(self, site: Site, node: Fail) -> None:
        super().__init__(site)
        self._node = node
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        if self._failure is None:
            error = self._node.error
            error = error() if callable(error) else error
            annotate(error, self._node.describe())
            self._failure = Failure(error)
        self._failure.throw()


class Never(SourceNode):
    """No item and no end."""

    operator = "never"
    stateful = False

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that waits until it is closed or drained."""
        return _NeverStage(site)


class _NeverStage(Stage[Any]):
    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Stage[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        while not self.run.draining:
            await self._gate.wait()
        return []


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Defer(Building):
    """The flow that a factory builds at the first request, anew for each subscription."""

    operator = "defer"

    factory: Callable[[], Node]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that builds its flow when it is first asked."""
        return _DeferStage(site, self)


class _DeferStage(Stage[Any]):
    """Its state is the position of what was built."""

    def __init__(self, site: Site, node: Defer) -> None:
        super().__init__(site)
        self._node = node
        self._inner: Inner | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
        if self._inner is not None:
            yield self._inner.stage

    def marks(self) -> Marks:
        key, state = self.site.vertex.id, self.site.state
        if self._inner is None:
            return lambda _: {key: state}
        at = self._inner.state_at()
        return lambda i: {key: at(i)}

    async def _request(self, n: int) -> list[Any]:
        if self._inner is None:
            site = self.site
            self._inner = Inner(
                site, self._node.factory, site.state, tracked=site.tracked, order=self._node.within
            )
        return await self._inner.stage.request(n)
