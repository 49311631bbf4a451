# The names that this package offers, and where each is defined.

from .defer import defer as defer
from .from_async_iterable import from_async_iterable as from_async_iterable
from .from_callable import from_callable as from_callable, from_future as from_future
from .from_iterable import from_iterable as from_iterable
from .from_pages import from_pages as from_pages
from .from_queue import from_queue as from_queue
from .range import range_ as range_
from .ticks import interval as interval, timer as timer
from .trivial import empty as empty, fail as fail, just as just, never as never
from .unfold import iterate as iterate, unfold as unfold
from .using import using as using
