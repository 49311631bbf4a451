"""Each item with what a function says of it: what ``partition`` and ``group_by`` share."""

from __future__ import annotations

from penstock.fusion.element import Element

__all__ = ["Keyed"]


class Keyed(Element):
    """Each item becomes ``(function(item), item)``, for whoever sorts items by that."""

    operator = "keyed"
    one_to_one = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"x = (f{k}(x), x)"]
