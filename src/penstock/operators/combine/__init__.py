"""Operators that turn several flows into one."""

from penstock.operators.combine.combine_latest import combine_latest, zip_latest
from penstock.operators.combine.concat import concat
from penstock.operators.combine.concat_map import concat_map
from penstock.operators.combine.exhaust_map import exhaust_map
from penstock.operators.combine.flat_map_merge import flat_map_merge
from penstock.operators.combine.interleave import interleave
from penstock.operators.combine.merge import merge
from penstock.operators.combine.merge_sorted import merge_sorted
from penstock.operators.combine.pause_when import pause_when
from penstock.operators.combine.race import race
from penstock.operators.combine.sequence_equal import sequence_equal
from penstock.operators.combine.switch_map import switch_map
from penstock.operators.combine.with_latest_from import with_latest_from
from penstock.operators.combine.zip import zip as zip  # noqa: A004
from penstock.operators.combine.zip_longest import zip_longest

__all__ = [
    "combine_latest",
    "concat",
    "concat_map",
    "exhaust_map",
    "flat_map_merge",
    "interleave",
    "merge",
    "merge_sorted",
    "pause_when",
    "race",
    "sequence_equal",
    "switch_map",
    "with_latest_from",
    "zip",
    "zip_latest",
    "zip_longest",
]
