"""How tasks are started, so that eager ones do not fill the Python stack."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

NESTED = 3
"""How many tasks may be started one inside the other."""

_starting = 0


def start_task(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
    """Start a task.

    An eager task runs at once, inside the code that starts it, and may start the next one before it first
    waits: the tasks of 10,000 shared runs in a row would fill the Python stack. So the fourth one waits
    for the next turn of the loop.
    """
    global _starting  # noqa: PLW0603  the depth of the Python stack belongs to no object
    if _starting >= NESTED:
        work = _in_the_next_turn(work)
    _starting += 1
    try:
        return asyncio.get_running_loop().create_task(work, name=name)
    finally:
        _starting -= 1


async def _in_the_next_turn(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        await asyncio.sleep(0)
    except BaseException:
        work.close()  # it has not begun
        raise
    return await work
