"""What the checks of sinks and of ledgers share: how a broken promise is told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.subject import LawViolation

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hold", "refused", "same"]


def hold(law: str, kept: bool, message: str, **replay: Any) -> None:  # noqa: FBT001  what it is all about
    """Raise ``LawViolation`` unless ``kept``."""
    if not kept:
        raise LawViolation(law, message, **replay)


def same(law: str, what: str, came: Any, wanted: Any, **replay: Any) -> None:
    """Raise ``LawViolation`` unless ``came`` is ``wanted``."""
    if came != wanted:
        raise LawViolation(law, f"{what} should be {wanted!r} and is {came!r}", **replay)


@contextmanager
def refused(law: str, what: str, error: type[Exception], *words: str, **replay: Any) -> Iterator[None]:
    """Raise ``LawViolation`` unless the block raises ``error`` with all of ``words`` in its message."""
    try:
        yield
    except error as raised:
        for word in words:
            if word not in str(raised):
                raise LawViolation(
                    law, f"the error of {what} should say {word!r}, and says: {raised}", **replay
                ) from raised
    except LawViolation:
        raise
    except Exception as raised:
        raise LawViolation(
            law, f"{what} should raise {error.__name__}, and raised {raised!r}", **replay
        ) from raised
    else:
        raise LawViolation(law, f"{what} should raise {error.__name__}, and raised nothing", **replay)
