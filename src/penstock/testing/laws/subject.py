"""A law checks a subject: a factory of flows, the inputs of its sources, and facts about the flow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from penstock.errors import Pickled
from penstock.testing.laws.mistakes import SubjectError, build, call_model, refuse_inputs
from penstock.testing.laws.rules import rules_of
from penstock.testing.script import Forever, Poison, Raise, Sleep, Stalled, Wait, items_of, paced, played
from penstock.testing.sources import TestSource
from penstock.testing.time import Deadlock, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from penstock.abc import Position, Subscription
    from penstock.testing.script import Instruction
    from penstock.testing.sources import Style

T = TypeVar("T")

_SLOW = (Wait(2), None, Sleep(1))
"""The pace of sources in checks that need them to wait now and then."""


class LawViolation(Pickled, AssertionError):
    """A flow, sink or ledger broke the law named ``law``.

    ``message`` says what was seen and what was wanted. ``replay`` holds the parameters that show the
    violation again. ``rules`` are the Reactive Streams rules that the law tests. ``advice`` says with which
    fact about the flow the law would hold; it may be empty.
    """

    advice = ""

    def __init__(self, law: str, message: str, **replay: Any) -> None:
        super().__init__(law, message)
        self.law = law
        self.message = message
        self.replay = replay
        self.rules = rules_of(law)

    def __str__(self) -> str:
        lines = [f"law of {self.law}: {self.message}"]
        lines += [f"{key} = {value!r}" for key, value in self.replay.items() if key != "subject"]
        if self.advice:
            lines.append(self.advice)
        if self.rules:
            lines.append(f"Reactive Streams {', '.join(self.rules)}")
        return "\n  ".join(lines)


def require(holds: bool, law: str, message: str, **replay: Any) -> None:  # noqa: FBT001  reads like an assertion
    """Raise ``LawViolation`` unless ``holds``."""
    if not holds:
        raise LawViolation(law, message, **replay)


class AnyFlow(Protocol):
    """The part of a flow that the laws use; ``penstock.Flow`` has it, and any other class may."""

    @property
    def order(self) -> str:
        """``exact``, ``interleaved``, ``timed`` or ``lossy``, or ``interleaved and`` one of these two."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether its subscriptions have positions, and a new run from one loses and repeats nothing."""
        ...

    def max_in_flight(self, n: int = 1) -> float:
        """Return M(n)."""
        ...

    def subscribe(self, position: Position | None = None) -> Subscription[Any]:
        """Return a new run."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A factory of flows, the inputs of its sources, and facts about the flow.

    Args:
        factory: Called with one ``TestSource`` per input, for each run; returns the same flow each time.
        inputs: The items of each input; none for a flow that has its own source.
        model: The same computation in plain Python: a lazy function of one iterator per input. Without
            a model, a law compares the flow with itself, requested one item at a time.
        style: The style of the sources (see ``TestSource``).
        page: Page sizes, for the styles that have pages.
        pace: Waits before the items of an input, repeated in this order.
        keeps_order: Whether an interleaved flow keeps the order of each of its inputs.
        instant: Whether the flow takes no time, so that an item must arrive at the very moment at which
            its input was handed over.
        folds: Whether an input without an output of its own goes into a later output (``batch``). If
            not, such an input was dropped.
        closes_early: Whether the flow may close an input before its end (``take``, ``retry``). Then the
            laws allow exceptions at the waits of that input.
        prefetches: Whether the flow fetches ahead of demand (``buffer``, ``map_async``), so that sources
            may go on for a while without demand; law 1 limits how far.
        same: Returns the part of an item that is compared; use it to leave out measured fields.
        patience: Virtual seconds after which a pending request counts as stalled.
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

    def __post_init__(self) -> None:
        refuse_inputs(self.inputs)

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
        return Trial(self, build(self.factory, sources), sources)

    def fed(self, *inputs: Sequence[Any], **changes: Any) -> Subject:
        """Return this subject with other inputs, and other changes."""
        return replace(self, inputs=inputs, **changes)

    def slowed(self) -> Subject:
        """Return this subject with sources that wait now and then."""
        return replace(self, pace=self.pace or _SLOW)

    def with_input(self, index: int, script: Sequence[Any], **changes: Any) -> Subject:
        """Return this subject with another script for one input, and other changes."""
        return self.fed(*self.inputs[:index], script, *self.inputs[index + 1 :], **changes)

    def with_only(
        self, index: int, script: Sequence[Any], others: Sequence[Any] = (), **changes: Any
    ) -> Subject:
        """Return this subject with ``script`` for one input, ``others`` for each other one, and changes."""
        return self.fed(*([others] * len(self.inputs)), **changes).with_input(index, script)

    def ending(self, index: int, at: int, *elements: Any) -> Subject:
        """Return this subject with ``elements`` in place of one input's items from ``at`` on."""
        return self.with_input(index, [*self.inputs[index][:at], *elements])

    def poisoned(
        self, index: int, at: int, make: Callable[[], BaseException] | None = None
    ) -> Subject | None:
        """Return this subject with item ``at`` of one input poisoned; ``None`` if it is no plain integer."""
        script = self.inputs[index]
        if at >= len(script) or type(script[at]) is not int:
            return None
        return self.ending(index, at, Poison(script[at], make), *script[at + 1 :])

    def places(self) -> Iterator[tuple[int, int]]:
        """Yield each place before an item, and the end, of each input."""
        for index, script in enumerate(self.inputs):
            for at in range(len(items_of(script)) + 1):
                yield index, at

    def foretold(self) -> list[Any] | None:
        """Return the items that the model yields before the first fault.

        ``None`` without a model, and where one of several inputs stalls or fails.
        """
        if self.model is None:
            return None
        faulty = any(isinstance(element, Forever | Raise) for script in self.inputs for element in script)
        if faulty and len(self.inputs) > 1:
            return None
        out: list[Any] = []
        try:
            out.extend(call_model(self.model, [played(script) for script in self.inputs]))
        except Stalled:
            pass
        except SubjectError:
            raise
        except Exception:  # noqa: BLE001, S110  the planted fault: the items before it are the answer
            pass
        return out


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

    def expect_close(self) -> None:
        """Tell the sources that an exception at one of their waits is a close from now on."""
        for source in self.sources:
            source.expect_close()

    def require_closed(self) -> None:
        """Require that each source was closed as often as it was opened."""
        text = "after aclose each source that was opened must have been closed once"
        for source in self.sources:
            opened, closed = source.counts.opened, source.counts.closed
            require(opened == closed, "closing", text, opened=opened, closed=closed)

    def require_untouched(self) -> None:
        """Require that no cancelled request reached a source."""
        interrupted = sum(source.counts.interrupted for source in self.sources)
        text = (
            "cancelling a request raised an exception inside the user's source, at one of its waits; "
            "run the source in a task of the subscription instead of awaiting it in request()"
        )
        require(self.subject.closes_early or not interrupted, "cancel_safe", text)


def judge(law: str, main: Callable[[], Coroutine[Any, Any, T]], **replay: Any) -> T:
    """Run ``main`` in virtual time and return its result; parameters that are not None go into ``replay``.

    Raises:
        LawViolation: ``main`` raised it, or ended with a deadlock or another exception.
        SubjectError: the subject is described wrongly.
    """
    replay = {key: value for key, value in replay.items() if value is not None}
    try:
        return run(main())
    except SubjectError:
        raise
    except LawViolation as violation:
        violation.replay.update(replay)
        raise
    except Deadlock as error:
        raise LawViolation(law, str(error), **replay) from error
    except Exception as error:
        raise LawViolation(law, f"raised an unexpected {error!r}", **replay) from error
