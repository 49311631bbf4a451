"""The operator ``map_process``: call a function in worker processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections import deque
from itertools import islice
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import GraphError, WorkerDied
from penstock.operators.concurrency import process_worker
from penstock.operators.concurrency.pool import PoolStage
from penstock.operators.concurrency.pooled import Pooled, Unordered, pooled
from penstock.runtime import clock
from penstock.runtime.arguments import at, flag_for, function_for, positive
from penstock.runtime.node import node
from penstock.runtime.run import Gate
from penstock.runtime.stage import runs
from penstock.system.processes import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.operators.concurrency.process_worker import Failed
    from penstock.runtime.node import Site
    from penstock.runtime.run import Run

T = TypeVar("T")
U = TypeVar("U")

WINDOWS_OF_PROCESSES = 64
"""The default window, in multiples of the processes: quick calls travel in long lists."""

QUICK = 0.005
"""Seconds: if a list of items takes less, the next one is twice as long."""

SLOW = 0.02
"""Seconds: if a list of items takes more, the next one is half as long."""

SHOWN = 3
"""How many of the items lost with a worker are shown in the error."""

_PROGRAM = (
    f"import runpy; clock = runpy.run_path({clock.__file__!r})['SYSTEM_CLOCK']; "
    f"runpy.run_path({process_worker.__file__!r})['main'](clock.monotonic)"
)

Batch = list[tuple[int, Any]]

_short = Repr()


def map_process(
    function: Callable[[T], U],
    concurrency: int | None = None,
    *,
    ordered: bool = True,
    window: int | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Map each item to ``function(item)``, called in worker processes.

    Use it for work that computes. The processes belong to the run. They are new interpreters, never forks,
    and import the function by its name: it must be defined at the top of a module, or of a script that does
    its work under ``if __name__ == "__main__":``. Items and results are pickled. Quick calls travel in
    lists. So a result may wait for those before it in its list, but only for the call under way and a
    few milliseconds of work.

    Args:
        function: A plain function.
        concurrency: How many processes; by default as many as there are processors. 0 makes the calls in
            this process, one after the other, for debugging.
        ordered: Whether results keep the order of their inputs; otherwise they are in order of completion.
        window: How many inputs may be taken from upstream and not delivered yet; 64 for each process by
            default. A list has at most half of its process's share: a larger window suits calls of
            microseconds, a smaller one calls of seconds.

    Raises:
        GraphError: the function cannot be found by its name (a lambda, a function within a function).
        WorkerDied: at run time, a process ended by itself or was killed. The message says how, and which
            items were lost. The position stands before these items.
    """
    function_for("map_process", function)
    flag_for("map_process", ordered=ordered)
    importable(function)
    concurrency = os.cpu_count() or 1 if concurrency is None else concurrency
    positive("map_process", "concurrency", concurrency, least=0)
    count = max(concurrency, 1)
    kind = MapProcess if ordered else MapProcessUnordered
    window = count * WINDOWS_OF_PROCESSES if window is None else window
    return pooled("map_process", kind, function, count, window, inline=not concurrency)


@node
class MapProcess(Pooled):
    """``function(item)`` of each item, called in one of ``concurrency`` processes.

    If ``inline``, it is called in this process; items and results are pickled all the same.
    """

    operator = "map_process"

    inline: bool = False


class MapProcessUnordered(Unordered, MapProcess):
    """The same, in order of completion."""

    __slots__ = ()


def importable(function: Callable[..., Any]) -> None:
    """Raise ``GraphError`` if another process cannot find the function by its name."""
    name = getattr(function, "__qualname__", repr(function))
    where = f"map_process({name}){at()}"
    advice = (
        "Worker processes import the function by its name, so it must be defined at the top of a module "
        "(a functools.partial of such a function, or a method of an object that can be pickled, works too)."
    )
    try:
        data = pickle.dumps(function)
    except Exception as error:  # pickling a user's object may raise anything
        msg = f"{where}: it cannot be sent to another process ({error}). {advice}"
        raise GraphError(msg) from error
    if b"__main__" in data and _main_program() is None:
        msg = f"{where}: it is defined in an interactive session or a notebook. {advice}"
        raise GraphError(msg)


def _main_program() -> tuple[str, str] | None:
    """Return how another process finds the started program: (kind, name); ``None`` if it cannot."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        name: str = spec.name
        return None if name.rpartition(".")[2] == "__main__" else ("module", name)
    path = getattr(main, "__file__", None)
    return ("path", str(Path(path).resolve())) if path and Path(path).is_file() else None


class _Inline:
    """A worker without a process: it calls the function when its answer is received."""

    def __init__(self, run: Run) -> None:
        self._clock = run.clock.monotonic
        self._server: process_worker.Server | None = None
        self._answers: Iterator[bytes] = iter(())

    async def start(self) -> None:
        pass

    def send(self, body: bytes) -> None:
        if self._server is None:
            self._server = process_worker.Server(body, self._clock, find_main=False)
        else:
            self._answers = self._server.answer(body)

    async def receive(self) -> bytes:
        return next(self._answers)

    def kill(self) -> None:
        self._answers = iter(())

    async def gone(self) -> None:
        pass


@runs(MapProcess)
class _ProcessStage(PoolStage):
    """Each of its tasks sends lists of items to one process, one list after the other.

    Quick calls make the lists longer, up to half of the process's share of the window.
    """

    def __init__(self, site: Site, node: MapProcess) -> None:
        super().__init__(site, node)
        self._inline = node.inline
        self._processes: list[Process | _Inline] = []
        self._most = max(1, node.window // (2 * node.concurrency))
        self._size = 1

    def slice_size(self) -> int:
        """Return the whole window, because ``_take`` chooses what is sent to a process."""
        return self._node.window

    async def _work(self) -> None:
        gate, worker = Gate(self.run, for_task=True, own=True), None
        try:
            while not self._stopping:
                batch = self._take()
                if not batch:
                    await self._await_input(gate)
                    continue
                if worker is None:
                    worker = await self._hire()
                await self._through(worker, batch)
                if self.run.strained():
                    await self.run.breathe()
        except Exception as error:  # noqa: BLE001  an error of ours must end the run, not leave it waiting
            self._give_up(error)

    def _take(self) -> Batch:
        share = -(-self._rest.__length_hint__() // self._node.concurrency)
        return list(islice(self._inputs, min(self._size, self._most, max(share, 1))))

    async def _hire(self) -> Process | _Inline:
        if (script := os.environ.get(process_worker.PREPARING)) is not None:
            msg = (
                f"{script} runs its flow as soon as it is imported, but worker processes must import it to "
                'find the function: put what the script does under `if __name__ == "__main__":`'
            )
            raise RuntimeError(msg)
        # workers know the main program, and pickle its classes, under this name, as in multiprocessing
        sys.modules.setdefault("__mp_main__", sys.modules["__main__"])
        worker = _Inline(self.run) if self._inline else Process(_PROGRAM)
        self._processes.append(worker)  # before it starts, so that it is ended in any case
        await worker.start()
        worker.send(pickle.dumps((_main_program(), pickle.dumps(self._node.function))))
        return worker

    async def _through(self, worker: Process | _Inline, batch: Batch) -> None:
        """Send one list of items, and settle each of them."""
        pickled: list[bytes] = []
        fault: Exception | None = None
        for _, item in batch:
            try:
                pickled.append(pickle.dumps(item, pickle.HIGHEST_PROTOCOL))
            except Exception as error:  # noqa: BLE001  pickling a user's object may raise anything
                error.add_note("penstock: an item is pickled to send it to another process")
                fault = error
                break
        left = deque(batch)
        if pickled:
            worker.send(pickle.dumps(pickled))
        done = not pickled
        while not done:
            done = await self._settle(worker, left)
        if fault is not None and left and len(left) == len(batch) - len(pickled):
            number, item = left.popleft()
            if await self._skips(number, item, fault):
                self._put_back(left)

    async def _settle(self, worker: Process | _Inline, left: deque[tuple[int, Any]]) -> bool:
        """Receive one answer; return whether it was the last one for this list."""
        try:
            results, failure, seconds = pickle.loads(await worker.receive())  # noqa: S301  from our own process
        except WorkerDied as error:
            self._fail(left[0][0], self._lost(left, error))
            left.clear()
            return True
        for data in results:
            number, item = left.popleft()
            try:
                self._put(number, pickle.loads(data))  # noqa: S301
            except Exception as error:  # noqa: BLE001  unpickling a user's object may raise anything
                error.add_note("penstock: a result is pickled to send it from another process")
                await self._skips(number, item, error)
        if failure is not None:
            number, item = left.popleft()
            if await self._skips(number, item, _as_raised(failure)):
                self._put_back(left)
            left.clear()
            return True
        if seconds is not None:
            self._learn(seconds)
        return seconds is not None

    def _learn(self, seconds: float) -> None:
        if seconds < QUICK and self._size < self._most:
            self._size *= 2
        elif seconds > SLOW and self._size > 1:
            self._size //= 2

    def _put_back(self, left: deque[tuple[int, Any]]) -> None:
        """Put the inputs behind a skipped one back to the front of the inputs."""
        again = [*left, *self._inputs]
        (numbers, items), at = self._waiting, self._cut_to
        self._wait(
            (
                [*(number for number, _ in again), *numbers[at:]],
                [*(item for _, item in again), *items[at:]],
            )
        )
        left.clear()

    def _lost(self, left: deque[tuple[int, Any]], error: WorkerDied) -> WorkerDied:
        shown = ", ".join(_short.repr(item) for _, item in islice(left, SHOWN))
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        what = "1 item was" if len(left) == 1 else f"{len(left)} items were"
        return WorkerDied(
            f"a worker process of {self._node.describe()} {error}; {what} lost with it: {shown}{more}"
        )

    async def _stop(self) -> None:
        try:
            await super()._stop()
        finally:
            processes, self._processes = self._processes, []
            for worker in processes:
                worker.kill()
            await asyncio.gather(*(worker.gone() for worker in processes))


def _as_raised(failure: Failed) -> Exception:
    """Return the exception of another process, with its traceback as a note."""
    data, text, trace = failure
    error: Exception
    if data is None:
        error = RuntimeError(f"{text} (an exception that cannot be sent from one process to another)")
    else:
        error = pickle.loads(data)  # noqa: S301  from our own process
    error.add_note(f"in the worker process:\n{trace.rstrip()}")
    return error
