"""Operators that await functions, work on several items at once, or fetch items ahead of demand."""

from penstock.operators.concurrency.buffer import buffer
from penstock.operators.concurrency.filter_async import filter_async
from penstock.operators.concurrency.map_async import map_async
from penstock.operators.concurrency.map_process import map_process
from penstock.operators.concurrency.map_thread import map_thread
from penstock.operators.concurrency.prefetch import limit_demand, prefetch
from penstock.operators.concurrency.scan_async import scan_async
from penstock.operators.concurrency.tap_async import tap_async
from penstock.operators.concurrency.while_async import skip_while_async, take_while_async

__all__ = [
    "buffer",
    "filter_async",
    "limit_demand",
    "map_async",
    "map_process",
    "map_thread",
    "prefetch",
    "scan_async",
    "skip_while_async",
    "take_while_async",
    "tap_async",
]
