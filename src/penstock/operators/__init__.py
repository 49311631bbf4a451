"""The catalogue of operators, by family. Each is a function that returns ``Flow[A] -> Flow[B]``."""

from penstock.operators.combine.combine_latest import combine_latest, zip_latest
from penstock.operators.combine.concat import concat
from penstock.operators.combine.concat_map import concat_map
from penstock.operators.combine.flat_map_merge import flat_map_merge
from penstock.operators.combine.interleave import interleave
from penstock.operators.combine.merge import merge
from penstock.operators.combine.merge_sorted import merge_sorted
from penstock.operators.combine.race import race
from penstock.operators.combine.sequence_equal import sequence_equal
from penstock.operators.combine.switch_map import switch_map
from penstock.operators.combine.with_latest_from import with_latest_from
from penstock.operators.combine.zip import zip as zip  # noqa: A004
from penstock.operators.concurrency.buffer import buffer
from penstock.operators.concurrency.filter_async import filter_async
from penstock.operators.concurrency.map_async import map_async
from penstock.operators.concurrency.map_process import map_process
from penstock.operators.concurrency.map_thread import map_thread
from penstock.operators.concurrency.prefetch import limit_rate, prefetch
from penstock.operators.documents import batch_progress, dead_letters, where
from penstock.operators.elements.cast import cast
from penstock.operators.elements.collect import collect
from penstock.operators.elements.distinct import distinct, distinct_until_changed
from penstock.operators.elements.enumerate import enumerate as enumerate  # noqa: A004
from penstock.operators.elements.filter import choose
from penstock.operators.elements.filter import filter as filter  # noqa: A004
from penstock.operators.elements.if_empty import default_if_empty, switch_if_empty
from penstock.operators.elements.map import map as map  # noqa: A004
from penstock.operators.elements.map import starmap
from penstock.operators.elements.materialize import dematerialize, materialize
from penstock.operators.elements.pairwise import pairwise
from penstock.operators.elements.scan import scan
from penstock.operators.elements.start_with import start_with
from penstock.operators.elements.tap import tap
from penstock.operators.elements.unwrap import unwrap
from penstock.operators.failure.circuit_breaker import circuit_breaker
from penstock.operators.failure.finally_do import finally_do
from penstock.operators.failure.on_error_resume import on_error_resume
from penstock.operators.failure.on_error_skip import on_error_skip
from penstock.operators.failure.recover import recover
from penstock.operators.failure.repeat import repeat
from penstock.operators.failure.retry import retry
from penstock.operators.fanout.broadcast import broadcast
from penstock.operators.fanout.group_by import group_by
from penstock.operators.fanout.partition import partition, partition_by
from penstock.operators.fanout.publish import publish
from penstock.operators.fanout.share import replay, share
from penstock.operators.fanout.window import window
from penstock.operators.resume.checkpoint import checkpoint
from penstock.operators.shape.batch import batch
from penstock.operators.shape.flat_map import flat_map, unbatch
from penstock.operators.shape.sliding import sliding
from penstock.operators.shape.split import split
from penstock.operators.shape.take_skip import skip, skip_while, take, take_while
from penstock.operators.shape.take_skip_last import skip_last, take_last
from penstock.operators.shape.take_until import take_until
from penstock.operators.timing.debounce import debounce
from penstock.operators.timing.delay import delay
from penstock.operators.timing.keep_alive import keep_alive
from penstock.operators.timing.sample import sample
from penstock.operators.timing.throttle import throttle
from penstock.operators.timing.timeout import timeout
from penstock.operators.timing.timestamp import elapsed, timestamp

__all__ = [
    "batch",
    "batch_progress",
    "broadcast",
    "buffer",
    "cast",
    "checkpoint",
    "choose",
    "circuit_breaker",
    "collect",
    "combine_latest",
    "concat",
    "concat_map",
    "dead_letters",
    "debounce",
    "default_if_empty",
    "delay",
    "dematerialize",
    "distinct",
    "distinct_until_changed",
    "elapsed",
    "enumerate",
    "filter",
    "filter_async",
    "finally_do",
    "flat_map",
    "flat_map_merge",
    "group_by",
    "interleave",
    "keep_alive",
    "limit_rate",
    "map",
    "map_async",
    "map_process",
    "map_thread",
    "materialize",
    "merge",
    "merge_sorted",
    "on_error_resume",
    "on_error_skip",
    "pairwise",
    "partition",
    "partition_by",
    "prefetch",
    "publish",
    "race",
    "recover",
    "repeat",
    "replay",
    "retry",
    "sample",
    "scan",
    "sequence_equal",
    "share",
    "skip",
    "skip_last",
    "skip_while",
    "sliding",
    "split",
    "starmap",
    "start_with",
    "switch_if_empty",
    "switch_map",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "tap",
    "throttle",
    "timeout",
    "timestamp",
    "unbatch",
    "unwrap",
    "where",
    "window",
    "with_latest_from",
    "zip",
    "zip_latest",
]
