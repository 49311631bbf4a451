"""Kills real processes at random instants of their progress, and starts them again."""

from __future__ import annotations

import os
import random
import signal as signals
import threading
import time
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE, Popen
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

_PATIENCE = 240.0
_JITTER = 0.004
"""Most seconds between a line of progress and a kill: most steps of a commit take less."""


class Different(AssertionError):
    """A killed job left another output than the undisturbed one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its return code, whether the signal ended it, and its output."""

    code: int
    signalled: bool
    lines: list[str]
    stderr: str


@dataclass(frozen=True, slots=True)
class Kills:
    """The signals that ``kill_and_compare`` sent, the jobs it compared, and the processes it started."""

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
    """Run ``command`` in a new process, and send it a signal after ``lines`` lines of output.

    Lines on stdout are its progress. They are read at once, so that the process never waits for its reader.

    Args:
        command: The command to run.
        lines: After how many lines to send the signal; 0 is right at the start, ``None`` never.
        seconds: How many seconds after that line.
        signal: The signal; the process may handle it, and end in its own way.
        folder: The working directory.
        environment: The environment variables; by default those of this process.
        patience: Seconds after which a process that does not end is killed.

    Raises:
        subprocess.TimeoutExpired: the process did not end in time.
    """
    with Popen(  # noqa: S603  the command is the caller's
        [os.fspath(word) for word in command],
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        text=True,
        cwd=folder,
        env=dict(environment) if environment is not None else None,
    ) as process:
        reader = _Reader(process, lines)
        try:
            if lines is not None:
                reader.reached.wait(patience)
                _wait(seconds)
                process.send_signal(signal)  # does nothing if the process has ended
            process.wait(patience)
        except BaseException:
            process.kill()
            raise
        finally:
            reader.join()
    code = process.returncode
    return Ended(code, code == -signal, reader.lines, "".join(reader.errors))


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
    """Kill a command at random instants and run it again until it ends by itself; compare the outputs.

    A first job runs undisturbed. Each further job is killed after a random number of lines, plus up to
    four milliseconds, and started again, until it ends by itself. New jobs start until ``kills`` signals
    were sent.

    Args:
        command: Returns the command for a job in a folder; the same command starts and continues a job.
        content: Returns the output of a job in its folder, for comparison; sort it if its order may change.
            It may also assert facts about the output.
        folder: The parent of the jobs' folders.
        kills: How many signals to send.
        seed: Decides the instants.
        signal: ``SIGKILL``, or a signal after which the command ends well.
        steps: About how many processes a job takes.
        environment: The environment variables of the processes; by default those of this process.

    Raises:
        Different: a killed job left another output than the undisturbed one.
        AssertionError: a process ended with an error.
    """
    dice = random.Random(seed)  # noqa: S311  seeded, for schedules
    whole = folder / "whole"
    whole.mkdir()
    first = kill_at(command(whole), folder=whole, environment=environment)
    _check(first, signal)
    wanted, progress = content(whole), len(first.lines)
    if not progress:
        raise ValueError("the command printed no lines; print a line on stdout for each step of progress")
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
            raise Different(f"{job} (seed {seed}) has {_short(left)}; undisturbed it is {_short(wanted)}")
    return Kills(done, jobs, processes)


def _check(ended: Ended, signal: int) -> None:
    """Raise unless the process ended by itself, by the signal, or by handling it (128 + SIGINT)."""
    handled = signal != signals.SIGKILL and ended.code == 128 + signals.SIGINT
    if ended.code and not ended.signalled and not handled:
        raise AssertionError(f"the process ended with code {ended.code}: {ended.stderr}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"  # noqa: PLR2004  a line or two


def _wait(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:  # time.sleep is too coarse
        pass


class _Reader:
    """Reads stdout and stderr of a process to their ends; sets ``reached`` after ``wanted`` lines."""

    def __init__(self, process: Popen[str], wanted: int | None) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.reached = threading.Event()
        if wanted == 0:
            self.reached.set()
        self._threads = [
            threading.Thread(target=self._read, args=(process.stdout, wanted), daemon=True),
            threading.Thread(target=self.errors.extend, args=(process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Any, wanted: int | None) -> None:
        for line in stream:
            self.lines.append(line)
            if len(self.lines) == wanted:
                self.reached.set()
        self.reached.set()  # there are no more lines

    def join(self) -> None:
        for thread in self._threads:
            thread.join(_PATIENCE)
