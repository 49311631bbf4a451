"""The page at ``/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

_HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Penstock</title>
<p>Penstock serves pipelines here. <a href="docs">What it answers</a></p></html>
"""


async def page(_: Request) -> Response:
    """Return the page."""
    return HTMLResponse(_HTML)
