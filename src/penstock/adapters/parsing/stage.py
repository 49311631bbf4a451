"""The parse stage: records go to worker processes in chunks, and come back in order."""

from __future__ import annotations

import pickle
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.abc.delivery import DEADLY
from penstock.adapters.parsing.node import CHUNK
from penstock.adapters.parsing.work import Answers, Chunk, Job, modules_of
from penstock.document import checked_id, content_hash
from penstock.documents.parsed import has_validate
from penstock.errors import WorkerDied
from penstock.runtime.failures import Failure
from penstock.runtime.pages import Pages
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage, stop
from penstock.system import close_all
from penstock.system.forks import Workers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from penstock.adapters.parsing.node import Parsing
    from penstock.document import RawRecord
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream
    from penstock.system.forks import Forked
    from penstock.system.processes import Process

    Worker = Process | Forked

AHEAD = 2
"""Jobs that a process has at a time: the one that it works on, and the next."""

HELD_BYTES = 32 << 20
"""No more records are fetched while those that are held have more bytes than this."""

JOB_BYTES = 1 << 20
"""A job ends early when its records have more bytes than this."""

FALSE_STARTS = 3
"""After so many processes in a row that could not start, this process parses.

The death of the process that forks the others can end the starts of all of them; it counts as one.
"""

LEAST_WORK = 2.0
"""Seconds of work that must remain before processes start by default; a start takes half a second."""

UNKNOWN_WORK = 0.5
"""Seconds of work after which processes are started by default if nobody knows how much remains."""

FIRST_LOOK = 0.05
"""Seconds of work from which the rest is estimated."""

_PROGRAM = "from penstock.adapters.parsing import worker; worker.{}()"


class ParsingStage(Stage[Any]):
    """Hands records on as they are until the workers are there; from then on, parsed records.

    One task fetches: it cuts records into jobs and puts their chunk at the end of ``_chunks``. One task for
    each process sends jobs and takes answers. A request delivers from the first chunk once it is complete.
    """

    def __init__(self, site: Site, node: Parsing) -> None:
        super().__init__(site)
        self._node = node
        self._upstream = site.input()
        self._pages = Pages()
        self._end: tuple[Marks, int] = (self._upstream.marks(), 0)  # behind all records that were fetched
        self._fetched = self._low = 0  # records fetched; of these, delivered before the last list
        self._last = 0  # records in the last list
        self._chunks: deque[Chunk] = deque()
        self._held_bytes = 0
        self._jobs: deque[Job] = deque()
        self._answers = Answers(node.source, node.encode, validates=has_validate(node.source))
        self._parallel = False  # whether records go to processes
        self._alone = False  # whether no process can start
        self._preparing = False
        self._hired = 0  # processes that ``_prepare`` has started
        self._servers = 0  # tasks that keep a process at work
        self._workers = Workers(
            _PROGRAM.format("fork"), _PROGRAM.format("main"), modules_of(node.source, node.encode)
        )
        self._spare: list[Worker] = []  # have started, and have no task yet
        self._tasks: list[asyncio.Task[None]] = []
        self._false_starts = 0
        self._exhausted = False
        self._final: Failure | None = None  # upstream's failure, behind all records
        self._ready = Gate(self.run, own=True)
        self._room_made = Gate(self.run, for_task=True, own=True)
        self._idle: deque[Gate] = deque()
        self._worked = 0.0  # seconds between requests, while this process parses
        self._returned: float | None = None

    # -- what the event stage may ask of a source ------------------------------------------------

    @property
    def estimated_total(self) -> int | None:
        """The estimate of the source."""
        total: int | None = getattr(self._upstream, "estimated_total", None)
        return total

    @property
    def promised(self) -> Any:
        """The number that the source promised."""
        return getattr(self._upstream, "promised", None)

    @property
    def notices(self) -> Any:
        """The notices of the source."""
        return getattr(self._upstream, "notices", None)

    @property
    def buffered(self) -> int:
        """Records fetched and not handed on."""
        return self._fetched - self._low - self._last

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the pages of the source."""
        yield self._upstream

    # -- downstream's side -----------------------------------------------------------------------

    async def _request(self, n: int) -> list[Any]:
        self._low, self._last = self._low + self._last, 0
        self._pages.forget(self._low)
        if self.run.strained():
            await self.run.breathe()
        if not self._parallel and not self._starts():
            return await self._pass_on(n)
        while not (self._chunks and not self._chunks[0].missing):
            if self._exhausted and not self._chunks:
                if self._final is not None:
                    self._final.throw()
                return []
            await self._ready.wait()
        return self._deliver(n)

    async def _pass_on(self, n: int) -> list[Any]:
        try:
            records = await self._upstream.request(n)
        except Exception:
            self._fetch(0)
            raise
        self._fetch(len(records))
        self._last = len(records)
        self._returned = time.thread_time()
        return records

    def _deliver(self, n: int) -> list[RawRecord]:
        chunk = self._chunks[0]
        records = chunk.take(n)
        if chunk.at == len(chunk.records):
            self._chunks.popleft()
            self._held_bytes -= chunk.size
        self._last = len(records)
        self._room_made.open()
        return records

    def _fetch(self, count: int) -> None:
        """Count records that upstream returned, and remember its marks."""
        marks = self._upstream.marks()
        self._end = (marks, count)
        if count:
            self._pages.add(self._fetched, marks)
        self._fetched += count

    # -- when the processes start ----------------------------------------------------------------

    def _starts(self) -> bool:
        """Return whether records go to processes from now on; begin to start processes if it is time."""
        if self._node.crew.waits and not self._spare:
            if not self._tasks and self._pays():
                self._preparing = True
                self._tasks.append(self.run.spawn(self._prepare(), "parse: start"))
            return False
        self._parallel = True
        self._tasks.append(self.run.spawn(self._feed(), "parse: fetch"))
        return True

    def _pays(self) -> bool:
        """Return whether so much work remains that processes would do it sooner."""
        if self._returned is None:
            return False
        now = time.thread_time()
        self._worked += now - self._returned
        self._returned = now
        if self._worked < FIRST_LOOK:
            return False
        total = self.estimated_total
        if total is None:
            return self._worked > UNKNOWN_WORK
        return (total - self._low) * self._worked / self._low > LEAST_WORK

    async def _prepare(self) -> None:
        """Start the processes while this one goes on to parse; without a process it parses everything."""
        try:
            while self._hired < self._node.crew.processes:
                self._spare.append(await self._hire())
                self._hired += 1
                self._call()
        except WorkerDied as error:
            if not self._hired:
                self._warn(error)
        except NotImplementedError:  # an event loop without processes
            pass
        finally:
            self._preparing = False

    async def _hire(self) -> Worker:
        """Start a process and wait until it can parse."""
        worker = await self._workers.start()
        worker.send(pickle.dumps((self._node.source, self._node.encode)))
        trouble = await worker.receive()
        if trouble:
            raise WorkerDied(f"cannot use the source: {trouble.decode(errors='replace').strip()}")
        self._false_starts = 0
        return worker

    def _warn(self, error: WorkerDied) -> None:
        warnings.warn(
            f"{self._node.describe()}: this process parses alone, because a worker process {error}",
            RuntimeWarning,
            stacklevel=2,
        )

    # -- fetching --------------------------------------------------------------------------------

    async def _feed(self) -> None:
        while not self._exhausted:
            while (room := self._room()) <= 0:
                await self._room_made.wait()
            try:
                records = await self._upstream.request(min(room, CHUNK))
                places = await self._to_parse(records)
            except Exception as error:
                if self.run.over(error):
                    raise
                self._final, records, places = Failure(error), [], []
            self._fetch(len(records))
            self._exhausted = not records
            if records:
                self._add(Chunk(records, self._node.source), places)
            if self._exhausted or not places:
                self._ready.open()
            if self.run.strained():
                await self.run.breathe()

    def _room(self) -> int:
        if self._held_bytes >= HELD_BYTES:
            return 0
        return self._node.window - (self._fetched - self._low - self._last)

    async def _to_parse(self, records: list[RawRecord]) -> Sequence[int]:
        """Return the places of the records to parse: not of those that earlier runs completed as they are."""
        if self._alone:
            return []
        compare, identify = self._node.compare, self._node.source.identify
        if compare is None or not records:
            return range(len(records))
        places: list[int] = []
        asked: list[int] = []
        pairs: list[tuple[str, str]] = []
        for place, raw in enumerate(records):
            if DEADLY in raw.context:  # ``identify`` may parse the record
                places.append(place)
                continue
            try:
                pairs.append((checked_id(identify(raw)), content_hash(raw.data)))
                asked.append(place)
            except Exception:  # noqa: BLE001  a bad record is data
                places.append(place)
        standings = zip(asked, await compare(pairs), strict=True)
        return sorted(places + [place for place, standing in standings if standing != "unchanged"])

    def _add(self, chunk: Chunk, places: Sequence[int]) -> None:
        if self._alone:
            chunk.spare(self.run.clock.time())
        self._chunks.append(chunk)
        self._held_bytes += chunk.size
        for job in _jobs_of(chunk, places):
            chunk.missing += len(job.places)
            self._jobs.append(job)
        for _ in range(len(self._jobs)):
            self._call()

    def _call(self) -> None:
        """Let one more process work, if there is a job for it."""
        if not self._jobs:
            return
        if self._idle:
            self._idle.popleft().open()
        elif self._servers < self._node.crew.processes and (self._spare or not self._preparing):
            self._servers += 1
            self._tasks.append(self.run.spawn(self._work(), f"parse {self._servers}"))

    # -- the processes ---------------------------------------------------------------------------

    async def _work(self) -> None:
        """Keep one process at work; replace it if it dies."""
        gate = Gate(self.run, for_task=True, own=True)
        worker: Worker | None = None
        mine: deque[Job] = deque()
        while True:
            if not mine and not self._jobs:
                self._idle.append(gate)
                await gate.wait()
                continue
            try:
                if worker is None:
                    worker = self._spare.pop() if self._spare else await self._hire()
                self._send(worker, mine)
                if mine:
                    answer = await worker.receive()
                    self._settle(mine.popleft(), answer)
            except WorkerDied as error:
                self._bury(worker, mine, error)
                worker = None
            if self.run.strained():
                await self.run.breathe()

    def _send(self, worker: Worker, mine: deque[Job]) -> None:
        while self._jobs and len(mine) < AHEAD:
            job = self._jobs.popleft()
            mine.append(job)
            worker.send(job.question(self.run.clock.time()))

    def _settle(self, job: Job, answer: bytes) -> None:
        self._answers.settle(job, answer)
        if not job.chunk.missing:
            self._ready.open()

    def _bury(self, worker: Worker | None, mine: deque[Job], error: WorkerDied) -> None:
        """Put the jobs of a dead process back, the first one with what its death says about it."""
        if worker is None:
            self._false_starts += 1
            if self._false_starts >= FALSE_STARTS + self._node.crew.processes - 1:
                self._give_up(error)
            return
        again = mine.popleft().after_a_death(str(error)) if mine else []
        self._jobs.extendleft(reversed([*again, *mine]))
        mine.clear()
        self._ready.open()

    def _give_up(self, error: WorkerDied) -> None:
        """Parse in this process from now on, because no process can start."""
        if not self._alone:
            self._warn(error)
        self._alone = True  # what is fetched from now on is left as it is
        while self._jobs:
            self._jobs.popleft().leave(self.run.clock.time())
        self._ready.open()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            self.run.cancel(task)
        try:
            await close_all([_stopper(self, task) for task in tasks])
        finally:
            self._workers.kill()
            await self._workers.gone()

    # -- positions -------------------------------------------------------------------------------

    def marks(self) -> Marks:
        """Return those of upstream: this stage has no state of its own."""
        low, fetched, end, find = self._low, self._fetched, self._end, self._pages.find()

        def at(i: int) -> States:
            marks, offset = end if low + i >= fetched else find(low + i)
            return marks(offset)

        return at


def _stopper(stage: ParsingStage, task: asyncio.Task[None]) -> Any:
    return lambda: stop(stage.run, task)


def _jobs_of(chunk: Chunk, places: Sequence[int]) -> Iterator[Job]:
    """Cut the records at ``places`` into jobs of limited size."""
    some: list[int] = []
    size = 0
    for place in places:
        more = len(chunk.records[place].data)
        if some and size + more > JOB_BYTES:
            yield Job(chunk, some)
            some, size = [], 0
        some.append(place)
        size += more
    if some:
        yield Job(chunk, some)
