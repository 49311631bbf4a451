"""The catalogue of operators, by family. Each is a function that returns ``Flow[A] -> Flow[B]``."""

from penstock.operators.combine import (
    combine_latest,
    concat,
    interleave,
    merge,
    merge_sorted,
    race,
    sequence_equal,
    with_latest_from,
    zip_latest,
)
from penstock.operators.combine import zip as zip  # noqa: A004  the field's name
from penstock.operators.concurrency import buffer, limit_rate, map_async, prefetch
from penstock.operators.elements import choose, distinct_until_changed, scan, starmap, tap
from penstock.operators.elements import enumerate as enumerate  # noqa: A004  the field's names
from penstock.operators.elements import filter as filter  # noqa: A004
from penstock.operators.elements import map as map  # noqa: A004
from penstock.operators.failure import (
    finally_do,
    on_error_resume,
    on_error_skip,
    recover,
    repeat,
    retry,
)
from penstock.operators.progress import batch_progress, where
from penstock.operators.resume import checkpoint
from penstock.operators.shape import batch, flat_map, skip, skip_while, take, take_while

__all__ = [
    "batch",
    "batch_progress",
    "buffer",
    "checkpoint",
    "choose",
    "combine_latest",
    "concat",
    "distinct_until_changed",
    "enumerate",
    "filter",
    "finally_do",
    "flat_map",
    "interleave",
    "limit_rate",
    "map",
    "map_async",
    "merge",
    "merge_sorted",
    "on_error_resume",
    "on_error_skip",
    "prefetch",
    "race",
    "recover",
    "repeat",
    "retry",
    "scan",
    "sequence_equal",
    "skip",
    "skip_while",
    "starmap",
    "take",
    "take_while",
    "tap",
    "where",
    "with_latest_from",
    "zip",
    "zip_latest",
]
