"""The base of stages that handle errors of upstream."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from penstock.runtime.failures import Failure, calling
from penstock.runtime.passing import PassingStage


class FailureStage(PassingStage):
    """Passes items on. An error is either handled, or stored and raised by every later request."""

    _failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        while True:
            try:
                return await self._next(n)
            except Exception as error:
                if self.run.over(error):
                    raise
                trace = error.__traceback__
                try:
                    with calling(self.site.vertex.node):
                        self._handle(error)
                except BaseException as final:
                    if final is error:
                        error.__traceback__ = trace  # without the frames of _handle, which hold the error
                    self._failure = Failure(final)
                    raise
                finally:
                    del trace

    @abstractmethod
    async def _next(self, n: int) -> list[Any]:
        """Do the work of ``_request``."""

    def _handle(self, error: Exception) -> None:
        """Handle an error of ``_next`` and return, so that ``_next`` is called again; or raise."""
        raise error
