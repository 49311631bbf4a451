"""What the sinks of files and databases share: an output, and the thread that works on it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError, SinkMismatch
from penstock.system import Worker, acquire_lock, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.system import Lock

START_OVER = "or begin anew with restart=True (--restart), which empties the output"
"""The last advice when an output does not fit the ledger."""


class Output(ABC):
    """A file, folder or table, open or closed. Synchronous; all calls come from one thread.

    A failed write closes the output and discards what was not committed. Every later write then raises the
    same error, until the output is opened again.

    Args:
        name: How messages call the output.
    """

    errors: tuple[type[Exception], ...] = (OSError,)
    """The exceptions that are raised again as ``SinkError``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock: Lock | None = None
        self._is_open = False
        self._failed: SinkError | None = None
        self._is_ours = True
        """False once the lock was lost, or another program has changed the output: then nothing is undone."""
        self._has_documents = False
        """Whether documents were written since ``open``."""

    @abstractmethod
    def _open(self, record: JSON, *, restart: bool) -> Commit | None:
        """Open at ``record``; the lock is held. See ``Sink.open``."""

    @abstractmethod
    def _discard(self) -> None:
        """Discard what was not committed, as far as possible, and close. Idempotent; raises nothing."""

    def _undo_open(self) -> None:  # noqa: B027  not every output creates something
        """Remove what ``_open`` has created, while the lock is held. ``_open`` may have failed half-way."""

    def _harm(self, *, thorough: bool) -> str | None:  # noqa: ARG002  see the subclasses
        """Return what another program did to the open output, and what was kept of it, or ``None``.

        The text ends a sentence that begins with the output. ``thorough`` is the look at the end of a run.
        The others must be cheap, as each commit makes them.
        """
        return None

    def reason(self, error: Exception) -> str:
        """Say why ``error`` was raised and what to do about it, as the second half of a sentence."""
        return reason(error) if isinstance(error, OSError) else str(error)

    def open(self, record: JSON, *, restart: bool) -> Commit | None:
        """Open at ``record``, also if it is open already; see ``Sink.open``."""
        self.close()
        try:
            with self._raising_sink_errors("open"):
                self._acquire_lock()
                self._has_documents = False
                commit = self._open(record, restart=restart)
        except BaseException:
            with contextlib.suppress(*self.errors):  # the first error is the one to raise
                self._undo_open()
            self.close()
            raise
        self._is_open = True
        return commit

    def claim(self) -> None:
        """See ``Sink.claim``."""
        self.close()
        try:
            with self._raising_sink_errors("open"):
                self._acquire_lock()
                self._claim()
        except BaseException:
            self.close()
            raise

    def _claim(self) -> None:  # noqa: B027  the lock is enough for most
        """Check that the output can be opened; the lock is held."""

    def _make_lock(self) -> Lock | None:
        """Return the lock that keeps other processes from writing to the output while it is open, if any."""
        return None

    def _acquire_lock(self) -> None:
        self._lock = self._make_lock()
        if self._lock is not None and (holder := acquire_lock(self._lock)) is not None:
            raise self.held_by(holder)

    def undo_open(self) -> None:
        """See ``Sink.undo_open``."""
        try:
            if self._is_open and not self._has_documents:
                with self._raising_sink_errors("close"):
                    self._check_lock()
                    self._undo_open()
        finally:
            self.close()

    def close(self) -> None:
        """Discard what was not committed, and release the output. Idempotent."""
        if self._is_open and self._lock is not None and self._lock.lost() is not None:
            self._is_ours = False
        self._is_open, self._failed = False, None
        self._discard()
        self._is_ours = True
        if self._lock is not None:
            self._lock.release()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Guard one write: see the class for what a failure does."""
        if self._failed is not None:
            raise SinkError(str(self._failed)) from self._failed
        if not self._is_open:
            raise not_open(self.name)
        try:
            with self._raising_sink_errors("write to"):
                self._check_lock()
                yield
        except BaseException as error:
            interrupted = f"a write to the output {self.name} was interrupted; open the output again"
            self.close()
            self._failed = error if isinstance(error, SinkError) else SinkError(interrupted)
            raise

    @contextlib.contextmanager
    def _raising_sink_errors(self, action: str) -> Iterator[None]:
        try:
            yield
        except self.errors as error:
            if action != "open":
                self._check_lock()  # if it was lost, that is the reason
            intact = "" if action == "open" else "; what was committed is intact"
            raise SinkError(
                f"cannot {action} the output {self.name}: {self.reason(error)}{intact}"
            ) from error

    def _check_lock(self) -> None:
        if self._lock is not None and (how := self._lock.lost()) is not None:
            self._is_ours = False
            raise SinkError(
                f"this run lost its lock on the output {self.name}: {how}. It has changed nothing since; "
                "let one run at a time write to an output, and run again"
            )

    def check_presence(self, *, thorough: bool = False) -> None:
        """Raise ``SinkMismatch`` if the open output is no longer where it was, or as it was left."""
        if (happened := self._harm(thorough=thorough)) is not None:
            self._is_ours = False
            raise SinkMismatch(
                f"the output {self.name} {happened}; put it back as it was and run again, {START_OVER}"
            )

    def verify(self) -> None:
        """See ``Sink.verify``."""
        with self.writing():
            self.check_presence(thorough=True)

    def held_by(self, holder: object) -> SinkError:
        """Return the error for an output that ``holder`` is writing."""
        return SinkError(
            f"the output {self.name} is being written by {holder}; wait for it or stop it, then run again"
        )


class OutputSink(Sink):
    """A sink that buffers documents and writes them to its ``output`` on a thread of its own.

    A cancelled ``write`` has taken its documents. A cancelled ``commit`` still happens.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._worker = Worker("penstock-sink", output.close)
        self._is_open = False

    def describe(self) -> str:
        """Return the path or URL, without secrets."""
        return self._output.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._output.name!r})"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; ``restart`` removes earlier documents."""
        self._close_buffer()
        record = None if restart else record
        commit = await self._worker.run(partial(self._output.open, record, restart=restart))
        self._is_open = True
        return commit

    async def claim(self) -> None:
        """See ``Sink.claim``."""
        await self._worker.run(self._output.claim)

    async def verify(self) -> None:
        """See ``Sink.verify``."""
        self._check_open()
        await self._worker.run(self._output.verify)

    async def undo_open(self) -> None:
        """See ``Sink.undo_open``."""
        if self._is_open:
            self._close_buffer()
            await self._worker.run(self._output.undo_open)

    async def aclose(self) -> None:
        """See ``Sink.aclose``; discards what was not committed."""
        self._close_buffer()
        await self._worker.aclose(self._output.close)

    def _close_buffer(self) -> None:
        self._is_open = False
        self._clear_buffer()

    @abstractmethod
    def _clear_buffer(self) -> None:
        """Forget the documents that were not written yet."""

    def _check_open(self) -> None:
        if not self._is_open:
            raise not_open(self.describe())


def not_open(name: str) -> SinkError:
    """Return the error for an output that was used before ``open`` or after ``aclose``."""
    return SinkError(f"the output {name} is not open; await open(record) first")


def read_record(record: JSON, kind: str, output: str, **fields: Callable[[Any], Any]) -> dict[str, Any]:
    """Return ``fields`` of the record that an output of this ``kind`` once returned from ``commit``.

    Raises:
        SinkMismatch: another kind of output returned it.
    """
    try:
        if record["format"] == kind:
            return {name: convert(record[name]) for name, convert in fields.items()}
    except (TypeError, KeyError, ValueError):
        pass
    raise SinkMismatch(
        f"the ledger's record belongs to another kind of output than {output} (which is {kind}); "
        f"name the output of the earlier runs, {START_OVER}"
    )
