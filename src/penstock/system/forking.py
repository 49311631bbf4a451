"""A process that forks workers: it imports what they need once, so that each starts at once. Linux only.

It has one thread, so a fork of it takes no locks along. Standard input is a Unix socket to the parent, which
sends the pipes of a worker as file descriptors. Each answer is a frame on standard output. At the end of that
socket this process kills its workers, waits for them, and ends. If it is killed, its workers end with it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.system.frames import framed

if TYPE_CHECKING:
    from collections.abc import Callable

READY, REFUSED = b"r", b"-"
"""First answers: it can fork; it cannot, because an import has started a thread."""

FORKED, FULL = b"f", b"!"
"""Answers: a worker was forked; the system has no room for one."""

FATE = b"\0status "
"""Stands before the wait status of a worker, at the end of the worker's log."""

_PDEATHSIG = 1


class Forker:
    """Forks workers that call ``work(questions, answers)`` with two file descriptors."""

    def __init__(self, control: socket.socket, answers: int, work: Callable[[int, int], None]) -> None:
        self._control = control
        self._answers = answers
        self._work = work
        self._running: dict[int, tuple[int, int]] = {}  # by pid: the answers and the log of each worker
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._mother = os.getpid()
        self._libc = ctypes.CDLL(None)

    def run(self) -> None:
        """Fork whenever the parent asks, until it closes the socket."""
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  pathlib takes longer to import
            self._answer(REFUSED)
            return
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)
        self._answer(READY)
        try:
            while self._serve():
                pass
        finally:
            if os.getpid() == self._mother:
                self._end()

    def _serve(self) -> bool:
        """Wait for a request or the end of a worker. Return whether the parent is still there."""
        ready, _, _ = select.select([self._control.fileno(), self._woken], [], [])
        if self._woken in ready:
            os.read(self._woken, 4096)
            self._bury()
        if self._control.fileno() not in ready:
            return True
        try:
            data, pipes, _, _ = socket.recv_fds(self._control, 1, 3)
        except ConnectionError:
            return False
        if not data:
            return False
        self._answer(self._fork(*pipes))
        return True

    def _answer(self, what: bytes) -> None:
        with suppress(BrokenPipeError):  # the parent is gone, as the next read says
            os.write(self._answers, framed(what))

    def _fork(self, questions: int, answers: int, log: int) -> bytes:
        try:
            pid = os.fork()
        except OSError:
            for pipe in (questions, answers, log):
                os.close(pipe)
            return FULL
        if not pid:
            self._be_worker(questions, answers, log)
        os.close(questions)
        self._running[pid] = (answers, log)
        return FORKED

    def _be_worker(self, questions: int, answers: int, log: int) -> None:
        """Work, then end this process."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            of_others = [one for pair in self._running.values() for one in pair]
            for pipe in (self._answers, self._woken, self._wake, *of_others):
                os.close(pipe)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(log, 1)  # so that a print does not break the frames
            os.dup2(log, 2)
            self._die_with_mother()
            self._work(questions, answers)
            code = 0
        except BaseException as error:  # noqa: BLE001  the end of this process
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _die_with_mother(self) -> None:
        """Let the kernel kill this process as soon as the one that forked it ends."""
        self._libc.prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._mother:
            os._exit(1)

    def _bury(self) -> None:
        """Write into the logs of workers that have ended how they ended; then close their pipes.

        So the parent sees the end of the answers only when the log is complete.
        """
        for pid in list(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._close(pid, status)

    def _close(self, pid: int, status: int) -> None:
        answers, log = self._running.pop(pid)
        with suppress(OSError):  # no room on the disk
            os.lseek(log, 0, os.SEEK_END)
            os.write(log, FATE + str(status).encode())
        os.close(log)
        os.close(answers)

    def _end(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        for pid in list(self._running):
            self._close(pid, os.waitpid(pid, 0)[1])


def main(work: Callable[[int, int], None]) -> None:
    """Serve the parent at the other end of standard input."""
    with socket.socket(fileno=os.dup(0)) as control:
        answers = os.dup(1)
        os.dup2(2, 1)  # so that a print does not break the frames
        Forker(control, answers, work).run()
