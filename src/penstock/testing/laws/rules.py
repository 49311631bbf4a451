"""The rules of the Reactive Streams specification (1.0.4), and the checks that test each of them.

The specification speaks of callbacks: ``onNext``, ``onComplete`` and ``onError`` are called on a
subscriber. Here ``request(n)`` returns a list, returns the empty list, or raises. So nothing can break a
good part of the rules: these hold *by construction*. A rule that is about something Penstock does not
have is *not applicable*. For the others this table names the checks of ``penstock.testing.laws``.

The page ``docs/reactive_streams.md`` has the text of each rule, and says how it holds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its number, and the checks that test it, if it can be broken at all."""

    number: str
    checks: tuple[str, ...] = ()
    applies: bool = True

    @property
    def status(self) -> str:
        """``tested``, ``by construction`` or ``not applicable``."""
        if self.checks:
            return "tested"
        return "by construction" if self.applies else "not applicable"


_CHECKS = {
    # Publisher
    "1.1": "demand racing",
    "1.2": "ending promptness",
    "1.3": "serial racing",
    "1.4": "prefix errors_speak",
    "1.5": "ending",
    "1.6": "closing",
    "1.7": "ending racing",
    "1.8": "closing racing",
    "1.9": "cold position",
    "1.10": "cold",
    "1.11": "cold",
    # Subscriber
    "2.1": "",
    "2.2": "",
    "2.3": "",
    "2.4": "ending closing",
    "2.5": "",
    "2.6": "closing racing",
    "2.7": "serial closing",
    "2.8": "closing racing",
    "2.9": "",
    "2.10": "",
    "2.11": "",
    "2.12": "",
    "2.13": "closing",
    # Subscription
    "3.1": "",
    "3.2": "",
    "3.3": "",
    "3.4": "promptness fair",
    "3.5": "closing racing",
    "3.6": "closing",
    "3.7": "closing",
    "3.8": "demand cancel_safe",
    "3.9": "demand",
    "3.10": "",
    "3.11": "",
    "3.12": "closing",
    "3.13": "closing",
    "3.14": "",
    "3.15": "closing",
    "3.16": "",
    "3.17": "demand",
    # Processor
    "4.1": "demand ending cancel_safe closing",
    "4.2": "prefix closing",
}
"""The checks of each rule; none if it holds by construction, or is not applicable."""

_NOT_APPLICABLE = {"2.3", "2.5", "2.12", "3.14", "3.16"}

RULES: tuple[Rule, ...] = tuple(
    Rule(number, tuple(checks.split()), applies=number not in _NOT_APPLICABLE)
    for number, checks in _CHECKS.items()
)
"""All rules, in the order of the specification."""


def rules_of(law: str) -> tuple[str, ...]:
    """Return the numbers of the rules that ``law`` tests."""
    return tuple(rule.number for rule in RULES if law in rule.checks)
