"""Real processes, really killed at some instant of their progress, and started again."""

from __future__ import annotations

import os
import random
import signal as signals
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Different", "Ended", "Kills", "kill_and_compare", "kill_at"]

T = TypeVar("T")

_PATIENCE = 240.0
_JITTER = 0.004
"""Seconds after a line of progress within which to kill: most steps of a commit take less."""


class Different(AssertionError):
    """What killed runs left is not what an undisturbed run leaves."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its return code, whether it was the signal that ended it, and what it said."""

    code: int
    signalled: bool
    lines: list[str]
    words: str
    """What it wrote on stderr."""


@dataclass(frozen=True, slots=True)
class Kills:
    """What ``kill_and_compare`` did: so many signals sent, jobs compared, and processes started."""

    kills: int
    jobs: int
    processes: int


def kill_at(
    command: Sequence[str | os.PathLike[str]],
    lines: int | None = None,
    *,
    seconds: float = 0.0,
    signal: int = signals.SIGKILL,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    patience: float = _PATIENCE,
) -> Ended:
    """Run ``command`` in a process of its own, and send it a signal once it has printed so many lines.

    Lines on stdout are its progress, and are read all the time, so that it never waits for its reader.

    Args:
        command: What to run.
        lines: After how many lines; 0 is right at the start, ``None`` lets it run to its end.
        seconds: How long after that.
        signal: Which signal; one that it handles lets it end in its own way.
        folder: Where to run it.
        environment: Its variables; those of this process by default.
        patience: Seconds after which a process that does not end is killed.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    with subprocess.Popen(  # noqa: S603  the command is the caller's
        [os.fspath(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=dict(environment) if environment is not None else None,
    ) as process:
        reader = _Reader(process, lines)
        try:
            if lines is not None:
                reader.reached.wait(patience)
                _wait(seconds)
                process.send_signal(signal)  # does nothing if it has ended, and then has no effect
            process.wait(patience)
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    code = process.returncode
    return Ended(code, code == -signal, reader.lines, "".join(reader.words))


def kill_and_compare(
    command: Callable[[Path], Sequence[str | os.PathLike[str]]],
    content: Callable[[Path], T],
    folder: Path,
    *,
    kills: int = 20,
    seed: int = 0,
    signal: int = signals.SIGKILL,
    steps: int = 6,
    environment: Mapping[str, str] | None = None,
) -> Kills:
    """Kill a command at random instants and run it again, until its output is whole; compare that.

    A first job runs undisturbed. Further ones are stopped after a random number of lines, and up to four
    milliseconds, again and again until they come to their end, as often as ``kills`` says in all.

    Args:
        command: Returns the command for a job in a folder; the same one begins a job and goes on with it.
        content: Returns what a job has left in its folder, to be compared: with the documents in an order
            that does not change, say. It may assert what must hold in any case.
        folder: Where folders for the jobs are made.
        kills: How many signals to send.
        seed: Decides the instants.
        signal: ``SIGKILL``, or one that the command handles by ending well.
        steps: About how many processes a job takes.
        environment: The variables of the processes; those of this one by default.

    Raises:
        Different: a killed job has left something else than the undisturbed one.
        AssertionError: a process ended with an error.
    """
    dice = random.Random(seed)  # noqa: S311  seeded, for schedules
    whole = folder / "whole"
    whole.mkdir()
    first = kill_at(command(whole), folder=whole, environment=environment)
    _check(first, signal)
    wanted, progress = content(whole), len(first.lines)
    if not progress:
        raise ValueError("the command prints no lines on stdout, by which its progress could be told")
    done = jobs = processes = 0
    while done < kills:
        job = folder / f"job{jobs}"
        job.mkdir()
        jobs += 1
        over = False
        while not over:
            lines = dice.randint(0, max(2 * progress // steps, 2)) if done < kills else None
            pause = dice.choice([0.0, dice.uniform(0, _JITTER)])
            ended = kill_at(
                command(job), lines, seconds=pause, signal=signal, folder=job, environment=environment
            )
            processes += 1
            _check(ended, signal)
            over = ended.code == 0
            done += not over
        if (left := content(job)) != wanted:
            raise Different(f"{job} (seed {seed}) holds {_short(left)}, undisturbed it is {_short(wanted)}")
    return Kills(done, jobs, processes)


def _check(ended: Ended, signal: int) -> None:
    """Let pass what ended by itself, by the signal, or by handling it (128 + SIGINT)."""
    handled = signal != signals.SIGKILL and ended.code == 128 + signals.SIGINT
    if ended.code and not ended.signalled and not handled:
        raise AssertionError(f"the process ended with {ended.code}: {ended.words}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"  # noqa: PLR2004  a line or two


def _wait(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:  # a sleep would be too coarse
        pass


class _Reader:
    """Reads stdout and stderr of a process to their ends; says when there were so many lines."""

    def __init__(self, process: subprocess.Popen[str], wanted: int | None) -> None:
        self.lines: list[str] = []
        self.words: list[str] = []
        self.reached = threading.Event()
        if wanted == 0:
            self.reached.set()
        self._threads = [
            threading.Thread(target=self._read, args=(process.stdout, wanted), daemon=True),
            threading.Thread(target=self._listen, args=(process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Any, wanted: int | None) -> None:
        for line in stream:
            self.lines.append(line)
            if len(self.lines) == wanted:
                self.reached.set()
        self.reached.set()  # its end is as far as it gets

    def _listen(self, stream: Any) -> None:
        self.words.extend(stream)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(_PATIENCE)
