"""Which notebook this code runs in, and an output of its cell that is updated.

Neither IPython nor marimo is imported here: in their notebooks they are imported already.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol
from uuid import uuid4


class Display(Protocol):
    """One output of the running cell."""

    def show(self, html: str, text: str) -> None:
        """Show HTML in place of what was shown before; ``text`` is for those that show no HTML."""
        ...


def display_here() -> Display | None:
    """Return a new output of the running cell; ``None`` outside a notebook."""
    marimo = sys.modules.get("marimo")
    if marimo is not None and marimo.running_in_notebook():
        return _Marimo(marimo)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:  # a terminal, or no IPython that runs
        return None
    return _Jupyter()


class _Jupyter:
    def __init__(self) -> None:
        self._id = uuid4().hex
        self._is_new = True

    def show(self, html: str, text: str) -> None:
        publish_display_data: Any = sys.modules["IPython"].display.publish_display_data
        data = {"text/html": html, "text/plain": text}
        publish_display_data(data, transient={"display_id": self._id}, update=not self._is_new)
        self._is_new = False


class _Marimo:
    def __init__(self, marimo: Any) -> None:
        self._marimo = marimo

    def show(self, html: str, text: str) -> None:  # noqa: ARG002  marimo shows HTML everywhere
        self._marimo.output.replace(self._marimo.Html(html))
