"""What other libraries call a source, an operator or a terminal: an unknown name is answered with ours."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Literal

Home = Literal["flow", "op", "ps"]
"""Where a name was looked up: in a flow, in ``penstock.operators`` or in ``penstock``."""

WRITTEN = {
    "op": "flow.{0}(...), or flow | penstock.operators.{0}(...)",
    "ps": "penstock.{0}",
    "flow": "flow.{0}(...)",
}
"""How a name of each place is written."""


def advice_on(name: str, home: Home) -> str:
    """Return a sentence on what an unknown name may mean, or ``""``.

    It may be a name of ours that stands elsewhere, one of another library, or similar to one of ours.
    """
    known = _names()
    snake = _snake(name)
    if exact := _foreign(name, exact=True):
        return _perhaps(exact, known, home)
    if snake in known[home]:
        return f"Perhaps you want {snake}."
    for place, kind in (("op", "an operator"), ("ps", "a name of penstock"), ("flow", "a method of a flow")):
        if snake in known[place]:
            return f"It is {kind}: {WRITTEN[place].format(snake)}."
    if alike := _foreign(snake):
        return _perhaps(alike, known, home)
    similar = get_close_matches(snake, known[home], 1, 0.8)
    return f"Perhaps you want {similar[0]}." if similar else ""


def _names() -> dict[str, list[str]]:
    """Return the public names of each place."""
    # by their names, because the runtime stands below them
    package, operators = import_module("penstock"), import_module("penstock.operators")
    return {
        "flow": [name for name in dir(package.Flow) if not name.startswith("_")],
        "op": list(operators.__all__),
        "ps": [name for name in package.__all__ if not name.startswith("_")],
    }


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _foreign(name: str, *, exact: bool = False) -> list[tuple[str, str]]:
    """Return our names for one of other libraries, and remarks, as the page Coming from ... has them."""
    from penstock.runtime.other_names_table import TABLE

    found = []
    for line in TABLE.splitlines():
        others, ours, *note = line.split("\t")
        if name in (others.split() if exact else [_snake(other) for other in others.split()]):
            found.append((ours, note[0] if note else ""))
    return found


def _perhaps(rows: list[tuple[str, str]], known: dict[str, list[str]], home: Home) -> str:
    """Return the sentence for what one or several libraries call by a name."""
    described: dict[str, str] = {}
    for ours, note in rows:
        names = " or ".join(_shown(one, known, home) for one in ours.split(", "))
        described[names] = described.get(names) or note
    told = [f"{names} ({note})" if note else names for names, note in described.items()]
    return f"Perhaps you want {'; or '.join(told)}."


def _shown(ours: str, known: dict[str, list[str]], home: Home) -> str:
    """Return one of our names as it is written where the unknown one stood."""
    place, _, name = ours.rpartition(".")
    if " " in ours or place == home or (not place and name in known[home]):
        return name or ours
    return {"": f"flow.{name}", "ps": f"penstock.{name}", "testing": f"penstock.testing.{name}"}.get(
        place, ours
    )
