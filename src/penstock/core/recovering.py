"""Stages that answer an error of their upstream: ``recover`` and ``on_error_resume``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from expression import Option

from penstock.core.inner import Building, Inner
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.core.graph import Site
    from penstock.core.stage import Marks

__all__ = ["OnErrorResume", "Recover"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recover(Node):
    """An error of upstream becomes a last item, where ``function(error)`` has one for it."""

    operator = "recover"
    stateful = True
    answers = True

    function: Callable[[Exception], Any]

    def start(self, site: Site) -> Stage[Any]:
        """Start with upstream, unless a position says that the last item went out."""
        return _RecoverStage(site, self)


class _RecoverStage(Stage[Any]):
    """Its state says whether the item made of an error went out."""

    def __init__(self, site: Site, node: Recover) -> None:
        super().__init__(site)
        self._node = node
        self._inner = site.input(tracked=site.tracked)
        self._over = bool(site.state)
        self._just_now = False  # the last chunk is the item made of an error
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._inner

    def marks(self) -> Marks:
        key, above, over, just_now = self.site.vertex.id, self._inner.marks(), self._over, self._just_now
        if not just_now:
            return lambda i: {**above(i), key: over}
        return lambda i: {**above(0), key: i > 0}

    async def _request(self, n: int) -> list[Any]:
        self._just_now = False
        if self._failure is not None:
            self._failure.throw()
        if self._over:
            return []
        try:
            return await self._inner.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            return self._last_item(error)

    def _last_item(self, error: Exception) -> list[Any]:
        try:
            item = self._node.function(error)
        except Exception as own:
            annotate(own, self._node.describe())
            self._failure = Failure(own)
            raise
        if isinstance(item, Option):
            if item.is_none():
                self._failure = Failure(error)
                self._failure.throw()
            item = item.value
        self._over = self._just_now = True
        self.run.release(self._inner)
        return [item]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnErrorResume(Building):
    """When upstream fails, the stream goes on with the flow that ``function(error)`` returns."""

    operator = "on_error_resume"
    answers = True

    function: Callable[[Exception], Node]

    def start(self, site: Site) -> Stage[Any]:
        """Start with upstream, or with what a position says it went on with."""
        return _OnErrorResumeStage(site, self)


class _OnErrorResumeStage(Stage[Any]):
    """Its state is ``None`` before an error; then the error, and the position of what it went on with."""

    def __init__(self, site: Site, node: OnErrorResume) -> None:
        super().__init__(site)
        self._node = node
        self._state = site.state
        self._upstream = site.input(tracked=site.tracked)
        self._fallback: Inner | None = None
        self._kept: JSON = None
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._upstream
        if self._fallback is not None:
            yield self._fallback.stage

    def marks(self) -> Marks:
        key, kept, above = self.site.vertex.id, self._kept, self._upstream.marks()
        if self._fallback is None:
            state = self._state
            return lambda i: {**above(i), key: state}
        at = self._fallback.state_at()
        return lambda i: {**above(0), key: {"error": kept, "at": at(i)}}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        if self._state is not None and self._fallback is None:
            self._go_on(rebuilt(self._state["error"]), self._state["at"])
        if self._fallback is not None:
            return await self._fallback.stage.request(n)
        try:
            return await self._upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            self._go_on(error, None)
            self.run.release(self._upstream)
        return await self._request(n)

    def _go_on(self, error: Exception, state: JSON) -> None:
        try:
            self._fallback = Inner(
                self.site, partial(self._node.function, error), state,
                tracked=self.site.tracked, order=self._node.within,
            )  # fmt: skip
        except Exception as own:
            self._failure = Failure(own)
            raise
        self._kept = kept(error)


def kept(error: Exception) -> JSON:
    """Return what a position keeps of an error: its types, nearest first, and its arguments or its text."""
    args: list[Any] = list(error.args)
    try:
        if json.loads(json.dumps(args)) != args:
            args = [str(error)]
    except (TypeError, ValueError):
        args = [str(error)]
    return {
        "types": [f"{kind.__module__}:{kind.__qualname__}" for kind in _exceptions(type(error))],
        "args": args,
    }


def _exceptions(kind: type[Exception]) -> list[type[Exception]]:
    return [one for one in kind.__mro__ if issubclass(one, Exception)]


def rebuilt(state: JSON) -> Exception:
    """Make an error of what ``kept`` gave: of its own type, or of the nearest base that is loaded.

    Nothing is imported for it, and its ``__init__`` is not called: it has the arguments, and no attributes
    of its own.
    """
    for name in state["types"]:
        module, _, path = name.partition(":")
        kind: Any = sys.modules.get(module)
        for part in path.split("."):
            kind = getattr(kind, part, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                error = kind.__new__(kind, *state["args"])
            except Exception:  # noqa: BLE001, S112  a type that wants other arguments: the next base may do
                continue
            error.args = tuple(state["args"])
            return error
    return Exception(*state["args"])
