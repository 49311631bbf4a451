"""Notices: what a source tells about its work while it fetches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Notices(Protocol):
    """Where notices go."""

    def append(self, notice: str, /) -> object:
        """Add a notice at the end."""
        ...


_notices: ContextVar[Notices | None] = ContextVar("penstock_notices", default=None)


def announce(reason: str) -> None:
    """Tell what happens, in a few words; call it anywhere inside ``Source.fetch``.

    With the next page, the notice becomes an ``AdapterStateChange`` whose old and new state are the same. If
    there are many, the last 100 remain. Outside a run it does nothing.
    """
    notices = _notices.get()
    if notices is not None:
        notices.append(reason)


@contextmanager
def noticing(notices: Notices) -> Iterator[None]:
    """Let ``announce`` append to ``notices``, in this task and in those that it starts."""
    token = _notices.set(notices)
    try:
        yield
    finally:
        _notices.reset(token)
