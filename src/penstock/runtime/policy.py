"""``RetryPolicy``: which errors are tried again, how often, and after which wait."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeGuard, cast

from penstock.errors import DocumentError
from penstock.runtime.arguments import flag_for, function_for, positive, refuse
from penstock.runtime.functions import plain_result
from penstock.runtime.libraries import retry_after_of_library, retryable_of_library
from penstock.text import repr_of

__all__ = ["RetryPolicy", "Series", "is_retryable"]


RETRYABLE = (ConnectionError, TimeoutError)


def is_retryable(error: BaseException) -> bool:
    """Return what the error says about itself, or whether it is a lost connection or a timeout.

    An error says it by an attribute ``is_retryable``, which is true or false. Without one, these are
    retryable: ``ConnectionError``, ``TimeoutError``, and the lost connections, timeouts and cut answers of
    httpx, httpx2, aiohttp, requests, urllib3, botocore and grpc; of these libraries also errors of the status
    408, 425, 429 or 5xx (without 501 and 505). A refused certificate is not. A group of errors is retryable
    if each error in it is.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_retryable, error.exceptions))
    if isinstance(error, DocumentError):
        return error.retryable
    marked = getattr(error, "is_retryable", None)
    if isinstance(marked, bool):
        return marked
    known = retryable_of_library(error)
    return isinstance(error, RETRYABLE) if known is None else known


def _is_kinds(retry_on: object) -> TypeGuard[type[BaseException] | tuple[type[BaseException], ...]]:
    """Whether it is a class of exceptions, or a tuple of such classes."""
    kinds = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait in between: exponential backoff with full jitter.

    The wait before attempt ``k + 1`` is random, between 0 and ``min(cap, initial * factor ** (k - 1))``
    seconds ("full jitter": Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so
    that many clients that failed together do not return together. If the error has an attribute
    ``retry_after`` (seconds, as a server sent it), that is the wait; so is the header ``Retry-After`` of an
    answer behind an error of httpx, httpx2, aiohttp, requests or urllib. `is_retryable` says what is tried
    again by default; to say it of an error of your own, give it an attribute ``is_retryable = True``.

    A series of attempts begins with the first failure after a success, and ends with the next success.

    Args:
        attempts: The most attempts of a series, the first included; 1 never tries again, ``None`` sets no
            limit.
        initial: Seconds; the first wait is at most this.
        factor: The limit of each further wait grows by this factor.
        cap: Seconds; no wait is longer, unless the error or ``retry_when`` asks for it.
        jitter: Whether waits are random; otherwise each wait is as long as its limit.
        retry_on: The kinds of errors that are tried again, or a function that returns whether an error is.
        retry_when: ``retry_when(error, attempt)`` replaces ``retry_on`` and the backoff, after attempt
            number ``attempt`` (counted from 1) failed. It returns seconds to wait, ``True`` for the
            backoff's wait, ``None`` or ``False`` to stop. An error that it raises ends the run.
        budget: The most seconds from the first failure of a series to the start of its last attempt; a
            wait that would end later is not started. ``None`` sets no limit.
        seed: Makes the waits repeatable.
    """

    attempts: int | None = 3
    initial: float = 0.1
    factor: float = 2.0
    cap: float = 30.0
    jitter: bool = True
    retry_on: Callable[[BaseException], bool] | type[Exception] | tuple[type[Exception], ...] = is_retryable
    retry_when: Callable[[Exception, int], float | bool | None] | None = None
    budget: float | None = None
    seed: int | None = None
    _random: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.attempts is not None:
            positive("RetryPolicy", "attempts", self.attempts)
        positive("RetryPolicy", "initial", self.initial, least=0, whole=False)
        positive("RetryPolicy", "factor", self.factor, whole=False)
        positive("RetryPolicy", "cap", self.cap, least=0, whole=False)
        if self.budget is not None:
            positive("RetryPolicy", "budget", self.budget, least=0, whole=False)
        flag_for("RetryPolicy", jitter=self.jitter)
        if not (callable(self.retry_on) or _is_kinds(self.retry_on)):
            refuse("RetryPolicy", "a function, or kinds of errors,", self.retry_on, "retry_on")
        if not _is_kinds(self.retry_on):
            function_for("RetryPolicy", self.retry_on, "retry_on")
        if self.retry_when is not None:
            function_for("RetryPolicy", self.retry_when, "retry_when")
        if self.seed is not None:
            positive("RetryPolicy", "seed", self.seed, least=-math.inf)
        object.__setattr__(self, "_random", random.Random(self.seed))  # noqa: S311  jitter, not a secret

    def __repr__(self) -> str:
        return repr_of(self)

    @property
    def limits(self) -> str:
        """The limits of a series, for messages."""
        tries = "any number of attempts" if self.attempts is None else f"up to {self.attempts} attempts"
        return tries if self.budget is None else f"{tries} within {self.budget:g} s"

    def wait(self, error: Exception, attempt: int, spent: float = 0.0) -> float | None:
        """Return the seconds to wait after attempt ``attempt`` failed, or ``None`` if that was the last.

        ``attempt`` counts from 1 in its series; ``spent`` are seconds since the first failure of the series.
        """
        judged = self.judge(error, attempt, spent)
        return None if isinstance(judged, str) else judged

    def judge(self, error: Exception, attempt: int, spent: float = 0.0) -> float | str:
        """Return what ``wait`` returns, but in place of ``None`` the reason why there is no next attempt."""
        if self.attempts is not None and attempt >= self.attempts:
            return f"all {self.attempts} attempts failed" if attempt > 1 else "only 1 attempt is allowed"
        if self.retry_when is None:
            asked: float | bool | None = self.retries(error)
        else:
            asked = plain_result(self.retry_when(error, attempt), "RetryPolicy", what="retry_when")
        if asked is None or asked is False:
            return self._refusal(error)
        seconds = self.delay(error, attempt) if asked is True else _retry_after(error)
        seconds = _seconds(asked) if seconds is None else seconds
        if self.budget is not None and spent + seconds > self.budget:
            return f"the next attempt would begin after the budget of {self.budget:g} s"
        return seconds

    def _refusal(self, error: Exception) -> str:
        """Return why ``retry_when`` or ``retry_on`` does not want another attempt."""
        name = type(error).__name__
        if self.retry_when is not None:
            return f"retry_when wants no other attempt after {name}"
        if _is_kinds(self.retry_on):
            return f"{name} is not one of the kinds of retry_on"
        if self.retry_on is not is_retryable:
            return f"retry_on returned false for {name}"
        if getattr(error, "is_retryable", None) is False:
            return f"is_retryable of the {name} is False"
        return (
            f"{name} is neither a ConnectionError, nor a TimeoutError, nor such an error of a known library, "
            "nor marked with is_retryable = True. To retry other errors, pass RetryPolicy(retry_on=...)"
        )

    def retries(self, error: BaseException) -> bool:
        """Return whether ``retry_on`` names the kind of an error, or is true for it."""
        if _is_kinds(self.retry_on):
            return isinstance(error, self.retry_on)
        judge = cast("Callable[[BaseException], bool]", self.retry_on)
        return bool(plain_result(judge(error), "RetryPolicy", what="retry_on"))

    def delay(self, error: BaseException, attempt: int) -> float:
        """Return the error's own ``retry_after``, or the backoff's seconds after attempt ``attempt``."""
        asked = _retry_after(error)
        if asked is not None:
            return asked
        try:
            longest = min(self.cap, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            longest = self.cap if self.initial else 0.0
        return self._random.uniform(0, longest) if self.jitter else longest


def _retry_after(error: BaseException) -> float | None:
    """Return the seconds that a server asked to wait, if the error has them."""
    asked = getattr(error, "retry_after", None)
    if not isinstance(asked, int | float) or isinstance(asked, bool):
        return retry_after_of_library(error)
    return float(asked) if math.isfinite(asked) and asked >= 0 else None


def _seconds(asked: object) -> float:
    """Return the seconds that ``retry_when`` returned, or raise ``TypeError``."""
    if isinstance(asked, int | float) and math.isfinite(asked) and asked >= 0:
        return float(asked)
    msg = f"retry_when must return seconds (at least 0), True, or None to stop, but it returned {asked!r}"
    raise TypeError(msg)


class Series:
    """The attempts since the last success, under a policy; ``None`` allows one attempt."""

    __slots__ = ("_policy", "_since", "attempt", "reason")

    def __init__(self, policy: RetryPolicy | None, attempt: int = 1) -> None:
        self._policy = policy
        self.attempt = attempt
        """The number of the current attempt, counted from 1."""
        self.reason = ""
        """Why there is no next attempt, if the policy refused it."""
        self._since: float | None = None

    def __str__(self) -> str:
        most = 1 if self._policy is None else self._policy.attempts
        return f"attempt {self.attempt}" if most is None else f"attempt {self.attempt} of {most}"

    def worked(self) -> None:
        """End the series after a success."""
        self.attempt, self._since = 1, None

    def failed(self, error: Exception, now: float) -> float | None:
        """Return the seconds from ``now`` to the next attempt, or ``None`` if there is none."""
        if self._policy is None:
            return None
        self._since = now if self._since is None else self._since
        judged = self._policy.judge(error, self.attempt, now - self._since)
        if isinstance(judged, str):
            self.reason = judged
            return None
        self.attempt += 1
        return judged

    def explain(self, error: Exception, where: str, *, drained: bool = False) -> None:
        """Add a note that says why ``error`` was not retried at ``where``, if a policy decided it."""
        reason = "the run is being drained" if drained else self.reason
        if self._policy is not None and reason:
            error.add_note(f"penstock: not retried, because {reason} ({where})")
