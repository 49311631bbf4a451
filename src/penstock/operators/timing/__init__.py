"""Operators that depend on time."""

from penstock.operators.timing.debounce import debounce
from penstock.operators.timing.delay import delay
from penstock.operators.timing.keep_alive import keep_alive
from penstock.operators.timing.sample import sample
from penstock.operators.timing.throttle import throttle
from penstock.operators.timing.throttle_first import throttle_first
from penstock.operators.timing.timeout import timeout
from penstock.operators.timing.timestamp import elapsed, timestamp

__all__ = [
    "debounce",
    "delay",
    "elapsed",
    "keep_alive",
    "sample",
    "throttle",
    "throttle_first",
    "timeout",
    "timestamp",
]
