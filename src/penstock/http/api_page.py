"""The page about the API, from its OpenAPI document."""

from __future__ import annotations

import html
from typing import Final

from penstock.http.openapi import OPERATIONS, described

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h2{font-size:1.1rem;margin:2.5rem 0 .3rem}"
    "code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}"
    "td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}"
    "td:first-child{white-space:nowrap}"
)


def page() -> str:
    """Return a page about all operations; it uses nothing from elsewhere."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Penstock: the API</title>",
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style>",
        "<h1>Penstock: the API</h1><p><a href='openapi.json'>openapi.json</a> says the same to programs.</p>",
    ]
    for one in OPERATIONS:
        details = described(one, with_token=True)
        parts.append(f"<h2><code>{one.method.upper()} {html.escape(one.path)}</code></h2>")
        parts.append(f"<p>{html.escape(one.summary)}{'' if one.needs_token else ' It needs no token.'}</p>")
        rows = [(given["name"], given["description"]) for given in details.get("parameters", [])]
        rows += [("body", 'JSON, as in {"pipeline": "NAME"}')] if one.body else []
        rows += [(status, given["description"]) for status, given in details["responses"].items()]
        cells = (f"<tr><td><code>{html.escape(a)}</code><td>{html.escape(b)}" for a, b in rows)
        parts.append(f"<table>{''.join(cells)}</table>")
    return "".join(parts)
