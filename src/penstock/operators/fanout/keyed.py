"""The element in front of ``partition`` and ``group_by``: it pairs each item with its key."""

from __future__ import annotations

from penstock.fusion.element import Element


class Keyed(Element):
    """Maps each item to ``(function(item), item)``."""

    operator = "keyed"
    one_to_one = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (f{k}(x), x)"]
