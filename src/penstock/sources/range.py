"""The source ``range_``, a flow of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from penstock.errors import GraphError
from penstock.runtime.arguments import at, refuse
from penstock.runtime.stream import flow_of
from penstock.sources.from_iterable import FromIterable

if TYPE_CHECKING:
    from penstock.flow import Flow


@overload
def range_(stop: int, /) -> Flow[int]: ...
@overload
def range_(start: int, stop: int, step: int = 1, /) -> Flow[int]: ...
def range_(*bounds: int) -> Flow[int]:
    """Create a flow of the integers of ``range(...)``, with the same arguments."""
    for bound in bounds:
        if isinstance(bound, bool) or not hasattr(type(bound), "__index__"):
            refuse("range_", "whole numbers", bound)
    try:
        items = range(*bounds)
    except (TypeError, ValueError) as error:
        msg = f"range_{bounds}{at()}: {error}"
        raise GraphError(msg) from None
    return flow_of(FromIterable(items=items))
