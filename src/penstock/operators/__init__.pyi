# The operators, by family, and where each is defined.

# Operators that turn several flows into one.
from .combine.combine_latest import combine_latest as combine_latest, zip_latest as zip_latest
from .combine.concat import concat as concat
from .combine.concat_map import concat_map as concat_map
from .combine.exhaust_map import exhaust_map as exhaust_map
from .combine.flat_map_merge import flat_map_merge as flat_map_merge
from .combine.interleave import interleave as interleave
from .combine.merge import merge as merge
from .combine.merge_sorted import merge_sorted as merge_sorted
from .combine.pause_when import pause_when as pause_when
from .combine.race import race as race
from .combine.sequence_equal import sequence_equal as sequence_equal
from .combine.switch_map import switch_map as switch_map
from .combine.with_latest_from import with_latest_from as with_latest_from
from .combine.zip import zip as zip
from .combine.zip_longest import zip_longest as zip_longest

# Operators that await functions, work on several items at once, or fetch items ahead of demand.
from .concurrency.buffer import buffer as buffer
from .concurrency.filter_async import filter_async as filter_async
from .concurrency.map_async import map_async as map_async
from .concurrency.map_process import map_process as map_process
from .concurrency.map_thread import map_thread as map_thread
from .concurrency.prefetch import limit_demand as limit_demand, prefetch as prefetch
from .concurrency.scan_async import scan_async as scan_async
from .concurrency.tap_async import tap_async as tap_async
from .concurrency.while_async import (
    skip_while_async as skip_while_async,
    take_while_async as take_while_async,
)

# Operators on the documents in a stream of events.
from .documents.batch_progress import batch_progress as batch_progress
from .documents.dead_letters import dead_letters as dead_letters
from .documents.where import where as where

# Operators that look at one item at a time. Most of them run with their neighbours in one loop.
from .elements.cast import cast as cast
from .elements.collect import collect as collect
from .elements.distinct import distinct as distinct, distinct_until_changed as distinct_until_changed
from .elements.enumerate import enumerate as enumerate
from .elements.filter import choose as choose, filter as filter
from .elements.if_empty import default_if_empty as default_if_empty, switch_if_empty as switch_if_empty
from .elements.intersperse import intersperse as intersperse
from .elements.map import map as map, starmap as starmap
from .elements.materialize import dematerialize as dematerialize, materialize as materialize
from .elements.pairwise import pairwise as pairwise
from .elements.scan import scan as scan
from .elements.start_with import start_with as start_with
from .elements.stateful import stateful as stateful
from .elements.tap import tap as tap
from .elements.unwrap import unwrap as unwrap

# Operators that handle errors and the end of a run.
from .failure.circuit_breaker import circuit_breaker as circuit_breaker
from .failure.finally_do import finally_do as finally_do
from .failure.log import log as log
from .failure.map_error import map_error as map_error, tap_error as tap_error
from .failure.on_error_replace import on_error_replace as on_error_replace
from .failure.on_error_resume import on_error_resume as on_error_resume
from .failure.on_error_skip import on_error_skip as on_error_skip
from .failure.recover import recover as recover
from .failure.repeat import repeat as repeat
from .failure.retry import retry as retry

# Operators in which one run serves several subscribers, or one flow becomes several.
from .fanout.broadcast import broadcast as broadcast
from .fanout.cache import cache as cache
from .fanout.group_by import group_by as group_by
from .fanout.partition import partition as partition, partition_by as partition_by
from .fanout.publish import publish as publish
from .fanout.share import replay as replay, share as share
from .fanout.window import window as window

# Operators that store the position of a run.
from .resume.checkpoint import checkpoint as checkpoint

# Operators that change how many items there are, or group them in lists.
from .shape.batch import batch as batch
from .shape.chunk_by import chunk_by as chunk_by
from .shape.element_at import element_at as element_at
from .shape.expand import expand as expand
from .shape.flat_map import flat_map as flat_map, unbatch as unbatch
from .shape.skip_until import skip_until as skip_until
from .shape.sliding import sliding as sliding
from .shape.split import split as split
from .shape.take_skip import skip as skip, skip_while as skip_while, take as take, take_while as take_while
from .shape.take_skip_last import skip_last as skip_last, take_last as take_last
from .shape.take_until import take_until as take_until
from .shape.text import decode as decode, lines as lines
from .shape.through import through as through

# Operators that depend on time.
from .timing.debounce import debounce as debounce
from .timing.delay import delay as delay
from .timing.keep_alive import keep_alive as keep_alive
from .timing.sample import sample as sample
from .timing.throttle import throttle as throttle
from .timing.throttle_first import throttle_first as throttle_first
from .timing.timeout import timeout as timeout
from .timing.timestamp import elapsed as elapsed, timestamp as timestamp
