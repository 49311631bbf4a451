"""Operators that handle errors and the end of a run."""

from penstock.operators.failure.circuit_breaker import circuit_breaker
from penstock.operators.failure.finally_do import finally_do
from penstock.operators.failure.log import log
from penstock.operators.failure.map_error import map_error, tap_error
from penstock.operators.failure.on_error_replace import on_error_replace
from penstock.operators.failure.on_error_resume import on_error_resume
from penstock.operators.failure.on_error_skip import on_error_skip
from penstock.operators.failure.recover import recover
from penstock.operators.failure.repeat import repeat
from penstock.operators.failure.retry import retry

__all__ = [
    "circuit_breaker",
    "finally_do",
    "log",
    "map_error",
    "on_error_replace",
    "on_error_resume",
    "on_error_skip",
    "recover",
    "repeat",
    "retry",
    "tap_error",
]
