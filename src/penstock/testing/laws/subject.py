"""What a law is checked on: a factory of flows, the inputs it is fed, and the words for a violation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.testing.laws.rules import rules_of
from penstock.testing.script import Burst, End, Forever, Instruction, Raise, items_of, paced
from penstock.testing.sources import TestSource
from penstock.testing.time import Deadlock, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from penstock.abc import Position, Subscription
    from penstock.testing.script import Sleep, Wait
    from penstock.testing.sources import Style

__all__ = ["AnyFlow", "LawViolation", "Subject", "Trial", "judge"]

T = TypeVar("T")


class LawViolation(AssertionError):
    """A flow broke a law; ``law`` names it, ``replay`` holds the parameters that show it again.

    ``rules`` are the rules of the Reactive Streams specification that the law stands for.
    """

    def __init__(self, law: str, message: str, **replay: Any) -> None:
        shown = "".join(f"\n  {key} = {value!r}" for key, value in replay.items())
        self.rules = rules_of(law)
        streams = f" (Reactive Streams {', '.join(self.rules)})" if self.rules else ""
        super().__init__(f"law of {law}{streams}: {message}{shown}")
        self.law = law
        self.message = message
        self.replay = replay


class AnyFlow(Protocol):
    """What the laws need of a flow; ``penstock.Flow`` has it, and so may anything else."""

    @property
    def order(self) -> str:
        """``exact``, ``interleaved``, ``timed`` or ``lossy``."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether a position can be taken."""
        ...

    @property
    def exact(self) -> bool:
        """Whether resuming from a position loses nothing and repeats nothing."""
        ...

    def max_in_flight(self, n: int = 1) -> float:
        """Return M(n)."""
        ...

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        """Return a new run."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A factory of flows, what it is fed, and what is known of the flow.

    Args:
        factory: Called with one ``TestSource`` per input, returns the flow to be checked. Called for
            each run, so it must give the same flow each time.
        inputs: The items of each input; none for a flow that brings its own.
        model: The same in plain Python, if known: a lazy function of one iterator per input. Without
            it, a law compares the flow with itself, asked for one item at a time.
        style: How the sources play (see ``TestSource``).
        page: Page sizes, for the styles that have pages.
        pace: Waits to put before each item of an input, in turn.
        keeps_order: Of an interleaved flow with several inputs, whether the order of each is kept.
        instant: Whether nothing in the flow takes time, so that an item must arrive at the very moment
            its input was handed over.
        folds: Whether inputs without an output of their own go into a later one (``batch``), instead of
            being dropped.
        closes_early: Whether the flow may close an input before its end (``take``, ``retry``), so that an
            exception at one of the input's waits says nothing.
        prefetches: Whether the flow fetches ahead of demand (``buffer``, ``map_async``), so that its sources
            may go on for a while when nobody asks any more; law 1 says how far.
        same: What of an item counts when items are compared (leave out measured fields here).
        patience: Virtual seconds after which a request is taken to wait for ever.
    """

    factory: Callable[..., AnyFlow]
    inputs: tuple[Sequence[Any], ...] = ()
    model: Callable[..., Iterable[Any]] | None = None
    style: Style = "generator"
    page: tuple[int, ...] = (3,)
    pace: tuple[Wait | Sleep | None, ...] = ()
    keeps_order: bool = True
    instant: bool = False
    folds: bool = False
    closes_early: bool = False
    prefetches: bool = False
    same: Callable[[Any], Any] = field(default=lambda item: item)
    patience: float = 1e6

    def start(
        self, *, on_handed: Callable[[], None] | None = None, on_close: Sequence[Instruction] = ()
    ) -> Trial:
        """Build the flow on fresh sources."""
        sources = tuple(
            TestSource(
                paced(script, self.pace),
                style=self.style,
                page=self.page,
                on_handed=on_handed,
                on_close=on_close,
            )
            for script in self.inputs
        )
        return Trial(self, self.factory(*sources), sources)

    def fed(self, *inputs: Sequence[Any], **changes: Any) -> Subject:
        """Return this subject with other inputs, and other changes."""
        return replace(self, inputs=inputs, **changes)

    def with_input(self, index: int, script: Sequence[Any], **changes: Any) -> Subject:
        """Return this subject with one input changed."""
        return self.fed(*self.inputs[:index], script, *self.inputs[index + 1 :], **changes)

    def cut_input(self, index: int, at: int, instead: Sequence[Any], **changes: Any) -> Subject:
        """Return this subject with ``instead`` in place of everything from item ``at`` of one input."""
        return self.with_input(index, [*self.inputs[index][:at], *instead], **changes)

    def ending(self, index: int, at: int, *instead: Any, **changes: Any) -> Subject:
        """Return this subject with input ``index`` ending as told, before item ``at``."""
        return self.cut_input(index, at, instead, **changes)

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield each place before an item, and the end, of each input."""
        for index, script in enumerate(self.inputs):
            for at in range(len(items_of(script)) + 1):
                yield index, at

    def foretold(self) -> list[Any] | None:
        """Return what the model says comes out before the first fault, or ``None`` if it cannot tell.

        It cannot without a model, nor where one of several inputs stalls or fails.
        """
        if self.model is None:
            return None
        faulty = any(isinstance(element, Forever | Raise) for script in self.inputs for element in script)
        if faulty and len(self.inputs) > 1:
            return None
        out: list[Any] = []
        try:
            out.extend(self.model(*(_played(script) for script in self.inputs)))
        except _Stall:
            pass
        except Exception:  # noqa: BLE001, S110  the fault that was planted; what came before it is the answer
            pass
        return out


class _Stall(BaseException):
    """Stops a model where its input waits for ever."""


def _played(script: Iterable[Any]) -> Iterator[Any]:
    for element in script:
        if isinstance(element, Forever):
            raise _Stall
        if isinstance(element, Raise):
            raise element.make()
        if isinstance(element, End):
            return
        if isinstance(element, Burst):
            yield from element.items
        elif not isinstance(element, Instruction):
            yield element


@dataclass(frozen=True, slots=True)
class Trial:
    """One flow on fresh sources."""

    subject: Subject
    flow: AnyFlow
    sources: tuple[TestSource, ...]

    @property
    def handed(self) -> int:
        """How many items all sources have handed over."""
        return sum(source.counts.handed for source in self.sources)

    @property
    def opened(self) -> int:
        """How often a source was opened."""
        return sum(source.counts.opened for source in self.sources)

    @property
    def closed(self) -> int:
        """How often a source was closed."""
        return sum(source.counts.closed for source in self.sources)

    @property
    def interrupted(self) -> int:
        """How often something was thrown into a running source."""
        return sum(source.counts.interrupted for source in self.sources)


def judge(law: str, main: Callable[[], Coroutine[Any, Any, T]], **replay: Any) -> T:
    """Run ``main`` in virtual time; what goes wrong in it breaks ``law``.

    Raises:
        LawViolation: raised by ``main``, or made from a deadlock or an exception that ``main`` let out.
    """
    try:
        return run(main())
    except LawViolation as violation:
        violation.replay.update(replay)
        raise
    except Deadlock as error:
        raise LawViolation(law, str(error), **replay) from error
    except Exception as error:
        raise LawViolation(law, f"an unexpected {type(error).__name__}: {error}", **replay) from error
