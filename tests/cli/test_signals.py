"""Real signals: to this process if it survives them, otherwise to another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from queue import SimpleQueue

import pytest

from penstock.cli.signals import Interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_and_the_second_signal_each_call_their_own(number: signal.Signals) -> None:
    """The functions are called in order, and the earlier handlers are restored."""
    before = signal.getsignal(number)
    calls: SimpleQueue[str] = SimpleQueue()
    with Interrupts(lambda: calls.put("stop"), lambda: calls.put("abort")) as interrupts:
        os.kill(os.getpid(), number)
        assert calls.get(timeout=10) == "stop"
        os.kill(os.getpid(), number)
        assert calls.get(timeout=10) == "abort"
    assert interrupts.count == 2
    assert signal.getsignal(number) is before


def test_ending_within_the_grace_leaves_nothing_behind() -> None:
    """After two signals and a clean end the thread ends, and the process continues."""
    with Interrupts(lambda: None, lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        watchers = [t for t in threading.enumerate() if t.name == "penstock-signals"]
    for thread in watchers:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("patience", [3600.0, None])
def test_one_signal_has_its_time(patience: float | None) -> None:
    """A run that ends in time is not ended, and no timer remains."""
    with Interrupts(lambda: None, lambda: None, patience=patience):
        os.kill(os.getpid(), signal.SIGINT)
        watching = [t for t in threading.enumerate() if t.name == "penstock-signals"]
    for thread in (*watching, *(t for t in threading.enumerate() if isinstance(t, threading.Timer))):
        thread.join(10)
        assert not thread.is_alive()


STUCK = """
import os, signal, sys
from penstock.cli import signals
signals.CLOSING = float(sys.argv[2])
with signals.Interrupts(lambda: None, lambda: None, patience=float(sys.argv[3])):
    for _ in range(int(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
"""


@pytest.mark.parametrize(
    ("signals", "grace", "patience"), [(1, 3600.0, 0.01), (2, 0.01, 3600.0), (3, 3600.0, 3600.0)]
)
def test_a_stuck_process_is_ended_all_the_same(signals: int, grace: float, patience: float) -> None:
    """A loop that never yields is ended: after a while by one signal, soon by two, at once by three."""
    command = [sys.executable, "-c", STUCK, str(signals), str(grace), str(patience)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert "stopped at once" in done.stderr
