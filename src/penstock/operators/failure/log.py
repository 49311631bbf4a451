"""The operator ``log``, which writes what happens in a run to a logger of the standard library."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import at, positive
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Upstream


def log(
    logger: str = "penstock", level: int | str = "INFO", *, every: int = 1, limit: int | None = None
) -> Same:
    """Write the items, the end and the error of each run to the logger ``logger``.

    An error has the level ``ERROR``, or a higher one if that was given. If the logger's level is off when a
    run starts, the run works as if this operator were not there, and costs nothing.

    Args:
        logger: The name of a logger of the standard library.
        level: A level of ``logging``, as a number or by its name.
        every: Write each item whose number is a multiple of this; the first item has the number 1.
        limit: Write no more than this many items of a run. ``None`` sets no limit.
    """
    positive("log", "every", every)
    if limit is not None:
        positive("log", "limit", limit, least=0)
    if not isinstance(logger, str):
        msg = f"log takes the name of a logger, not {type(logger).__name__}{at(before=', ')}"
        raise GraphError(msg)
    levels = logging.getLevelNamesMapping()
    number = levels.get(level) if isinstance(level, str) else level
    if not isinstance(number, int) or isinstance(number, bool):
        msg = f"log(level={level!r}){at()}: level must be a number, or one of {', '.join(levels)}"
        raise GraphError(msg)
    return attach(lambda node: Log(inputs=(node,), logger=logger, level=number, every=every, limit=limit))


@node
class Log(Node):
    """Writes items, the end and an error to a logger."""

    operator = "log"

    logger: str
    level: int
    every: int = 1
    limit: int | None = None

    @property
    def absent(self) -> bool:
        return not logging.getLogger(self.logger).isEnabledFor(self.level)

    def start(self, site: Site) -> Upstream[Any]:
        return site.above(tracked=site.tracked).start() if self.absent else _LogStage(site, self)


class _LogStage(FailureStage):
    def __init__(self, site: Site, node: Log) -> None:
        super().__init__(site)
        self._node = node
        self._logger = logging.getLogger(node.logger)
        self._left = node.limit
        self._count = 0
        self._over = False

    async def _next(self, n: int) -> list[Any]:
        items = await self.upstream.request(n)
        if not items:
            self._end("drained" if self.run.draining else "completed")
        elif self._left != 0:
            self._write(items)
        self._count += len(items)
        return items

    def _write(self, items: list[Any]) -> None:
        every, count, level = self._node.every, self._count, self._node.level
        first = every - 1 - count % every
        for k in range(first, len(items), every):
            if self._left is not None:
                if not self._left:
                    return
                self._left -= 1
            self._logger.log(level, "item %d: %.200r", count + k + 1, items[k])

    def _end(self, how: str, level: int | None = None, error: Exception | None = None) -> None:
        if self._over:
            return
        self._over = True
        level = self._node.level if level is None else level
        if error is None:
            self._logger.log(level, "%s after %d items", how, self._count)
        else:
            self._logger.log(level, "%s after %d items: %.500r", how, self._count, error)

    def _handle(self, error: Exception) -> None:
        self._end("failed", max(self._node.level, logging.ERROR), error)
        raise error

    async def _stop(self) -> None:
        if self.since is not None:
            self._end("closed")
