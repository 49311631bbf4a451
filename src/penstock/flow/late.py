"""The operators, found when they are called: they stand above this package and import it."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["op"]


class _Late:
    def __getattr__(self, name: str) -> Any:
        return getattr(sys.modules["penstock.operators"], name)


op = _Late()
