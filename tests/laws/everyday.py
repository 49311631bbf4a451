"""Which laws an entry is held to every day; ``nox -s laws`` holds every entry to every law, at every moment.

Every day each operator is held to each law in the first of its entries to which the law applies. The other
entries, which give the operator other arguments, take turns: each is held to a quarter of the laws.
"""

from __future__ import annotations

from typing import Any

from penstock.testing import laws

from ..length import LONG  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES, Entry
from .entry import checkpointed

NUMBERS = {entry.name: number for number, entry in enumerate(ENTRIES)}
"""The place of each entry in the catalogue, by its name."""

NAMES = list(laws.LAWS)

MOMENTS = {"cancel_safe": ("turns", 0, 9), "closing": ("turns", 0, 17), "settled_by_demand": ("stops", 1, 4)}
"""What the laws that cost most try every day: the argument that names moments, the first, and then each k-th."""

_TURNS = 4


def first_entries(law: str | None = None) -> set[str]:
    """Return the name of the first entry of each operator, among those to which ``law`` applies."""
    first: dict[str, str] = {}
    for entry in ENTRIES:
        if law not in entry.skip:
            for operator in entry.operators:
                first.setdefault(operator, entry.name)
    return {*first.values()}


FIRST = first_entries()
"""The names of the entries that hold each operator at least once."""

_FIRST_OF = {law: first_entries(law) for law in NAMES}


def laws_of(entry: Entry) -> list[str]:
    """Return the laws to which an entry is held in this run."""

    def is_held(law: str) -> bool:
        turn = (NUMBERS[entry.name] + NAMES.index(law)) % _TURNS == 0
        return law not in entry.skip and (LONG or turn or entry.name in _FIRST_OF[law])

    return [law for law in NAMES if is_held(law)]


def keep(law: str, entry: Entry) -> None:
    """Hold an entry to one law; every day at a choice of moments, which is another one for the next entry."""
    options: dict[str, Any] = {}
    if law == "settled_by_demand":
        options["attach"] = checkpointed
    if law == "errors_speak":
        options["operator"] = entry.noted
    if law == "fair":
        options["items"] = 160  # more than may pass between two turns of the loop
    if law in MOMENTS and not LONG:
        name, first, step = MOMENTS[law]
        options[name] = [first, *range(first + 1 + NUMBERS[entry.name] % step, 10_000, step)]
    laws.LAWS[law](entry.subject, **options)
