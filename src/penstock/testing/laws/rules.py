"""The rules of the Reactive Streams specification (1.0.4), and what each of them is here.

The specification speaks of callbacks: ``onNext``, ``onComplete`` and ``onError`` are called on a
subscriber. Here ``request(n)`` answers with a list, the empty list, or an exception, so that a good part
of the rules cannot be broken: they hold *by construction*. Of the others, the check that tests them is
named; it is a law of ``penstock.testing.laws``, and a violation names the rules it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RULES", "Rule", "rules_of"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its number, what it asks for, the laws that check it, and how it holds.

    ``checks`` is empty for a rule that holds by construction (``applies``) or has no object here.
    """

    number: str
    asks: str
    how: str
    checks: tuple[str, ...] = ()
    applies: bool = True

    @property
    def status(self) -> str:
        """``tested``, ``by construction`` or ``not applicable``."""
        if self.checks:
            return "tested"
        return "by construction" if self.applies else "not applicable"


def _tested(number: str, asks: str, how: str, *checks: str) -> Rule:
    return Rule(number, asks, how, checks)


def _built(number: str, asks: str, how: str) -> Rule:
    return Rule(number, asks, how)


def _void(number: str, asks: str, how: str) -> Rule:
    return Rule(number, asks, how, applies=False)


_PUBLISHER = (
    _tested(
        "1.1",
        "no more items than requested",
        "a list is never longer than n, nor is more in flight than M(n)",
        "demand",
        "racing",
    ),
    _tested(
        "1.2",
        "fewer items than requested, then an end, are allowed",
        "an end comes whatever n was",
        "ending",
        "promptness",
    ),
    _tested(
        "1.3",
        "signals are serial",
        "one answer per request; a second request at the same time is refused",
        "serial",
        "racing",
    ),
    _tested(
        "1.4",
        "a failure is signalled",
        "it is raised by the request that meets it, behind the items before it",
        "prefix",
        "errors_speak",
    ),
    _tested("1.5", "a successful end is signalled", "by the empty list, which means nothing else", "ending"),
    _tested(
        "1.6",
        "an end cancels the subscription",
        "every source is closed once, and aclose afterwards does no harm",
        "closing",
    ),
    _tested(
        "1.7",
        "no signal after the end",
        "every later request answers as the first one did",
        "ending",
        "racing",
    ),
    _tested(
        "1.8",
        "after a cancellation, signals stop",
        "requests raise SubscriptionClosed, and no task goes on",
        "closing",
        "racing",
    ),
    _tested(
        "1.9",
        "subscribe gives the subscription first and does not fail",
        "it returns it, and nothing happens before the first request; a position of another graph is refused",
        "cold",
        "position",
    ),
    _tested(
        "1.10",
        "subscribe may be called again, for another subscriber",
        "each call is a run of its own",
        "cold",
    ),
    _tested(
        "1.11",
        "a publisher decides how many subscribers it has, and how they share",
        "flows are cold: any number, each with all items; a one-shot input refuses the second",
        "cold",
    ),
)

_SUBSCRIBER = (
    _built("2.1", "demand is signalled by request", "items are the answer of request, and come no other way"),
    _built(
        "2.2",
        "slow processing should not obstruct the publisher",
        "a consumer works between two requests; sources that run ahead do so in tasks of their own",
    ),
    _void(
        "2.3",
        "at an end, do not call subscription or publisher",
        "an end is an answer, not a callback; whatever is called afterwards is defined",
    ),
    _tested(
        "2.4",
        "an end means that the subscription is cancelled",
        "requests repeat the end, and closing is a formality",
        "ending",
        "closing",
    ),
    _void(
        "2.5", "cancel a second subscription", "nobody is handed a subscription: who subscribes twice has two"
    ),
    _tested(
        "2.6",
        "cancel what is no longer needed",
        "async with, async for, into and to_list close it, also when they are cancelled; so do operators",
        "closing",
        "racing",
    ),
    _tested(
        "2.7",
        "request and cancel are called serially",
        "a request meanwhile is refused; aclose is allowed at any time",
        "serial",
        "closing",
    ),
    _tested(
        "2.8",
        "be prepared for items after a cancellation",
        "there are none: a pending request raises SubscriptionClosed",
        "closing",
        "racing",
    ),
    _built("2.9", "be prepared for completion without a request", "it is seen by the next request"),
    _built(
        "2.10", "be prepared for an error without a request", "it is kept, and raised by the next request"
    ),
    _built(
        "2.11", "signals happen before their processing", "await orders them; everything is on one event loop"
    ),
    _void("2.12", "onSubscribe at most once", "there is no such callback"),
    _tested(
        "2.13",
        "a subscriber does not throw",
        "its exception stays its own: the run is closed, and closing never masks it",
        "closing",
    ),
)

_SUBSCRIPTION = (
    _built(
        "3.1",
        "used only by its subscriber",
        "whoever subscribes holds it; it belongs to the event loop it runs on",
    ),
    _built(
        "3.2",
        "request may be called from within onNext",
        "one request follows the answer of another; there is no within",
    ),
    _built(
        "3.3",
        "recursion between publisher and subscriber is bounded",
        "a request returns before the next begins",
    ),
    _tested(
        "3.4",
        "request does not obstruct its caller",
        "it answers as soon as one item is there, and yields to the loop",
        "promptness",
        "fair",
    ),
    _tested(
        "3.5",
        "cancel is quick, idempotent and thread-safe",
        "it may be called twice, at once, and be cancelled; threads are not allowed",
        "closing",
        "racing",
    ),
    _tested(
        "3.6",
        "request after cancel does nothing",
        "it does nothing and says so: SubscriptionClosed",
        "closing",
    ),
    _tested("3.7", "cancel after cancel does nothing", "it waits for the first one at most", "closing"),
    _tested(
        "3.8",
        "request registers demand",
        "what was asked for comes; a cancelled request withdraws its own",
        "demand",
        "cancel_safe",
    ),
    _tested("3.9", "a demand of less than one is an error", "ValueError, and the run goes on", "demand"),
    _built("3.10", "request may call onNext synchronously", "what is there is returned without waiting"),
    _built("3.11", "request may end synchronously", "an end that is known is answered without waiting"),
    _tested("3.12", "cancel makes the publisher stop", "sources are closed before aclose returns", "closing"),
    _tested(
        "3.13",
        "cancel drops references to the subscriber",
        "a closed subscription that nobody else holds is collected",
        "closing",
    ),
    _void(
        "3.14",
        "the last cancel may shut a publisher down",
        "a flow has no state to shut down; what shares one run says itself when it ends",
    ),
    _tested(
        "3.15",
        "cancel returns normally",
        "a source that fails while it is closed is heard, unless another error is under way",
        "closing",
    ),
    _void(
        "3.16", "request returns normally", "raising is how request signals an error: the same one each time"
    ),
    _tested(
        "3.17",
        "any number of requests, and demand up to 2^63 - 1",
        "n may be 2^63 - 1, also behind operators that multiply it",
        "demand",
    ),
)

_PROCESSOR = (
    _tested(
        "4.1",
        "a processor keeps the rules of both sides",
        "each law is checked on operators behind sources that wait, fail and are watched",
        "demand",
        "ending",
        "cancel_safe",
        "closing",
    ),
    _tested(
        "4.2",
        "a processor may recover from an error; otherwise it passes it on",
        "retry and its kin close what failed; everything else raises it behind the items before it",
        "prefix",
        "closing",
    ),
)

RULES: tuple[Rule, ...] = (*_PUBLISHER, *_SUBSCRIBER, *_SUBSCRIPTION, *_PROCESSOR)
"""All rules, in the order of the specification."""


def rules_of(law: str) -> tuple[str, ...]:
    """Return the numbers of the rules that ``law`` checks."""
    return tuple(rule.number for rule in RULES if law in rule.checks)
