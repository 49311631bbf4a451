"""What other libraries call a source, an operator or a terminal: an unknown name is answered with ours."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCES = {
    "from_": "from_iterable",
    "from_async_generator": "from_async_iterable",
    "from_generator": "from_iterable",
    "generate": "unfold",
    "of": "just",
    "range": "range_",
    "repeat_value": "iterate",
    "return_value": "just",
    "throw": "fail",
}
"""Names of sources elsewhere, and ours in ``penstock``."""

OPERATORS = {
    "accumulate": "scan",
    "amb": "race",
    "average": "reduce",
    "buffer_time": "batch",
    "buffer_timeout": "batch",
    "buffer_with_count": "batch",
    "buffer_with_time": "batch",
    "buffer_with_time_or_count": "batch",
    "catch": "on_error_resume",
    "catch_error": "on_error_resume",
    "chain": "concat",
    "chunk": "batch",
    "chunks": "batch",
    "collect_list": "to_list",
    "contains": "any",
    "cycle": "repeat",
    "delay_elements": "throttle",
    "do": "tap",
    "do_action": "tap",
    "do_finally": "finally_do",
    "do_on_error": "tap_error",
    "do_on_next": "tap",
    "drop": "skip",
    "dropwhile": "skip_while",
    "filter_when": "filter_async",
    "finalize": "finally_do",
    "finally_action": "finally_do",
    "flat_map_iterable": "flat_map",
    "flat_map_latest": "switch_map",
    "flat_map_sequential": "concat_map",
    "flatmap": "flat_map_merge",
    "flatten": "unbatch",
    "fold": "reduce",
    "groupby": "group_by",
    "index": "enumerate",
    "limit": "take",
    "limit_rate": "limit_demand",
    "list": "to_list",
    "mean": "reduce",
    "merge_all": "flat_map_merge",
    "merge_map": "flat_map_merge",
    "on_backpressure_buffer": "buffer",
    "on_backpressure_drop": "buffer",
    "on_backpressure_error": "buffer",
    "on_backpressure_latest": "buffer",
    "on_error_continue": "on_error_skip",
    "on_error_return": "recover",
    "parallel": "map_async",
    "pipe": "flow | operator",
    "rate_limit": "throttle",
    "ref_count": "share",
    "retry_when": "retry",
    "share_replay": "cache",
    "spaceout": "throttle",
    "switch_latest": "switch_map",
    "takewhile": "take_while",
    "throttle_time": "throttle_first",
    "throttle_with_timeout": "debounce",
    "time_interval": "elapsed",
    "transform": "flow | operator",
    "windowed": "sliding",
}
"""Names of operators and terminals elsewhere, in small letters with underscores, and ours in ``Flow``."""


def nearest(name: str, known: Iterable[str], others: Mapping[str, str]) -> str | None:
    """Return the one of ``known`` that ``name`` may mean, by ``others`` or because it is similar, or None."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    public = [one for one in known if not one.startswith("_")]
    if snake in public:
        return snake
    return others.get(snake) or next(iter(get_close_matches(snake, public, 1, 0.75)), None)
