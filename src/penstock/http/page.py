"""The page at ``/``, and the files that it uses."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from penstock.http.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

INDEX: Final = "index.html"
_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
_NAMES: Final = (
    "page.css", "icon.svg", "main.js", "api.js", "dialogs.js", "dom.js", "events.js", "format.js",
    "letters.js", "lists.js", "pace.js", "run.js",
)  # fmt: skip
PATHS: Final = frozenset({"/", *(f"/page/{name}" for name in _NAMES)})
"""The paths of the page. They need no token: the page asks for it."""
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # ask again each time; the ETag makes that cheap
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def _read(name: str) -> tuple[bytes, str]:
    """Return a file of the page and its ETag."""
    content = files("penstock.http").joinpath("static", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


async def page(request: Request) -> Response:
    """Return the page, or one of its files.

    Raises:
        Problem: there is no such file.
    """
    name = request.path_params.get("name")
    if name is not None and name not in _NAMES:
        raise Problem(404, "not-found", f"the page has no file {name!r}")
    name = name or INDEX
    content, tag = _read(name)
    headers = {**_HEADERS, "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])
