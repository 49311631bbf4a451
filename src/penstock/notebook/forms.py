"""Facts and tables as HTML, for the rich forms of objects.

The colours of text and background are those of the page, so a form can be read in the dark and in light.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from penstock.text import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_LINE = "1px solid rgba(128,128,128,.35)"
_RULES = {
    "": "font:13px/1.45 system-ui,sans-serif;max-width:60em;overflow-x:auto;text-align:left",
    "table": "border-collapse:collapse;margin:.3em 0;border:0",
    "td,th": f"padding:.15em .8em .15em 0;border:0;border-bottom:{_LINE};text-align:left;vertical-align:top;"
    "background:none;color:inherit;font-size:inherit;white-space:normal;max-width:none",
    "th": "font-weight:600;opacity:.75",
    "td.number,th.number": "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap",
    ".title": "font-weight:600",
    ".note": "opacity:.75;font-weight:400",
    ".slow td": "font-weight:600;box-shadow:inset 0 -2px #ed8936",
    ".bad": "color:#e5484d",
    ".name": "white-space:nowrap;opacity:.75",
    ".bar": "height:6px;border-radius:3px;background:rgba(128,128,128,.25);max-width:30em;margin:.4em 0",
    ".bar div": "height:100%;border-radius:3px;background:#2f9e6f",
    ".bar .failed": "background:#e5484d",
}
STYLE = "".join(
    f"{','.join(f'.penstock.penstock {one}'.rstrip() for one in names.split(','))}{{{rule}}}"
    for names, rule in _RULES.items()
)
"""The name of the class stands twice in each rule, so that it outweighs the rules of Jupyter for tables."""
_LONGEST = 300


def words(text: object) -> str:
    """Return ``text`` on one line, shortened, safe in HTML; values that are secret are hidden."""
    return html.escape(shorten(str(text), _LONGEST))


def title(text: object, note: object = "") -> str:
    """Return a line that names an object, with a note behind it."""
    behind = f' <span class="note">{words(note)}</span>' if note else ""
    return f'<div class="title">{words(text)}{behind}</div>'


def note(text: object, *, bad: bool = False) -> str:
    """Return a line of explanation, or, if ``bad``, of trouble."""
    return f'<div class="{"bad" if bad else "note"}">{words(text)}</div>'


def facts(pairs: Iterable[tuple[object, object]]) -> str:
    """Return names and values, a line each."""
    rows = "".join(
        f'<tr><td class="name">{words(name)}</td><td>{words(value)}</td></tr>' for name, value in pairs
    )
    return f"<table>{rows}</table>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, slow: Collection[int] = ()) -> str:
    """Return a table: names in the first column, numbers in the others. ``slow`` rows are marked."""
    kinds = ["", *([' class="number"'] * (len(head) - 1))]
    parts = ["".join(f"<th{kind}>{words(one)}</th>" for kind, one in zip(kinds, head, strict=True))]
    for row in rows:
        cells = "".join(f"<td{kind}>{words(one)}</td>" for kind, one in zip(kinds, row, strict=True))
        parts.append(cells)
    marked = ['<tr class="slow">' if at - 1 in slow else "<tr>" for at in range(len(parts))]
    return f"<table>{''.join(f'{mark}{row}</tr>' for mark, row in zip(marked, parts, strict=True))}</table>"


def bar(part: int, failed: int, whole: int) -> str:
    """Return a bar of which ``part`` of ``whole`` is full, ``failed`` of it in red."""
    full, red = (min(100.0, 100 * number / whole) for number in (part, failed))
    inner = f'<div class="failed" style="width:{100 * red / full:.1f}%"></div>' if red else ""
    return f'<div class="bar"><div style="width:{full:.1f}%">{inner}</div></div>'


def form(*parts: str) -> str:
    """Return one HTML element of parts."""
    return f'<div class="penstock"><style>{STYLE}</style>{"".join(parts)}</div>'


def bundle(text: str, *parts: str) -> dict[str, str]:
    """Return what ``_repr_mimebundle_`` returns: HTML, and text for those that show none."""
    return {"text/html": form(*parts), "text/plain": text}
