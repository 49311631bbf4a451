"""``Retry-After``: how long a server asks its clients to wait."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from penstock.runtime.clock import clock_of_the_loop

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 3600.0
"""The longest wait in seconds that a server is granted."""


def retry_after_in(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that the header ``Retry-After`` asks for; ``None`` without a valid one.

    The header has seconds or a date (RFC 9110, 10.2.3). A date counts from the header ``Date``, so a clock
    that is wrong does no harm; without that header, it counts from the clock of this machine. A date in the
    past is 0. No wait is longer than ``LONGEST``.

    Args:
        headers: With lower-case names, or a mapping that ignores case.
    """
    asked = (headers.get("retry-after") or headers.get("Retry-After") or "").strip()
    if not asked:
        return None
    seconds = _number(asked)
    if seconds is None:
        date = _date(asked)
        if date is None:
            return None
        now = _date(headers.get("date") or headers.get("Date") or "")
        seconds = date - (clock_of_the_loop().time() if now is None else now)
    return min(max(seconds, 0.0), LONGEST)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
