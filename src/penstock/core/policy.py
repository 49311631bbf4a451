"""When to try again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock.core.node import positive
from penstock.errors import DocumentError

__all__ = ["RetryPolicy", "is_retryable"]

RETRYABLE = (ConnectionError, TimeoutError)


def is_retryable(error: BaseException) -> bool:
    """Say whether trying again could help: the error says so itself, or is a lost connection or a timeout."""
    if isinstance(error, DocumentError):
        return error.retryable
    marked = getattr(error, "is_retryable", None)
    return marked if isinstance(marked, bool) else isinstance(error, RETRYABLE)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait in between: exponential backoff with full jitter.

    The wait before attempt ``k + 1`` is drawn evenly from 0 to ``min(cap, initial * factor ** (k - 1))``
    seconds ("full jitter": Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so
    that many clients that failed together do not come back together. A delay that the error carries as
    ``retry_after`` (seconds, as a server gave it) is taken instead.

    Args:
        attempts: How many tries in all, the first included; 1 never tries again.
        initial: Seconds; the first wait is at most this.
        factor: What each further wait is multiplied with.
        cap: Seconds; no wait is longer.
        jitter: Whether to draw the wait; otherwise the longest one is taken.
        retry_on: Which errors are worth another try.
        seed: Makes the waits repeatable.
    """

    attempts: int = 3
    initial: float = 0.1
    factor: float = 2.0
    cap: float = 30.0
    jitter: bool = True
    retry_on: Callable[[BaseException], bool] = is_retryable
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positive("RetryPolicy", "attempts", self.attempts)
        positive("RetryPolicy", "initial", self.initial, least=0, whole=False)
        positive("RetryPolicy", "factor", self.factor, whole=False)
        positive("RetryPolicy", "cap", self.cap, least=0, whole=False)
        object.__setattr__(self, "_random", random.Random(self.seed))  # noqa: S311  jitter, not a secret

    def again(self, error: BaseException, attempt: int) -> bool:
        """Say whether there is another attempt after ``attempt`` (counted from 1) failed with ``error``."""
        return attempt < self.attempts and self.retry_on(error)

    def delay(self, error: BaseException, attempt: int) -> float:
        """Return the seconds to wait after attempt number ``attempt`` failed."""
        told = getattr(error, "retry_after", None)
        if isinstance(told, int | float) and told >= 0:
            return float(told)
        try:
            longest = min(self.cap, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            longest = self.cap if self.initial else 0.0
        return self._random.uniform(0, longest) if self.jitter else longest
