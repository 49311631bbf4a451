"""The part that the laws of sinks and the laws of ledgers share."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.testing.laws.subject import LawViolation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Law = Callable[..., Awaitable[None]]

U = TypeVar("U", bound="Use")


class Use:
    """A sink or ledger in use by one law; its checks raise ``LawViolation`` in the name of that law."""

    def __init__(self, law: str, **replay: Any) -> None:
        self.law = law
        self.replay = replay

    async def aclose(self) -> None:
        """Close the sink or ledger."""
        raise NotImplementedError

    def broken(self, message: str) -> LawViolation:
        """Return the violation to raise."""
        return LawViolation(self.law, message, **self.replay)

    def same(self, what: str, came: Any, wanted: Any) -> None:
        """Raise unless ``came`` is ``wanted``."""
        if came != wanted:
            raise self.broken(f"{what} should be {wanted!r}; it is {came!r}")

    @contextmanager
    def refused(self, what: str, error: type[Exception], *words: str) -> Iterator[None]:
        """Raise unless the block raises ``error`` with all of ``words`` in its message."""
        try:
            yield
        except error as raised:
            for word in words:
                if word not in str(raised):
                    raise self.broken(
                        f"the error of {what} should say {word!r}; it says: {raised}"
                    ) from raised
        except LawViolation:
            raise
        except Exception as raised:
            raise self.broken(f"{what} should raise {error.__name__}; it raised {raised!r}") from raised
        else:
            raise self.broken(f"{what} should raise {error.__name__}; it raised nothing")


def law_of(laws: dict[str, Law], start: Callable[..., U]) -> Callable[[Law], Law]:
    """Return a decorator for the laws of one kind of thing.

    The decorated function works on a ``Use``. The decorator returns a function of a kind, which calls
    ``start(kind, name)`` for the use and closes it at the end, and adds that function to ``laws``.
    """

    def decorate(function: Law) -> Law:
        @wraps(function)
        async def law(kind: Any, **replay: Any) -> None:
            use = start(kind, function.__name__, **replay)
            try:
                await function(use, **replay)
            finally:
                await use.aclose()

        laws[function.__name__] = law
        return law

    return decorate
