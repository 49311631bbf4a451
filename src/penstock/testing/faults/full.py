"""Full disks: a limit on the size of files, and a small file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIMIT = (
    "import os, resource, signal, sys; "
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "  # a write fails instead of killing the process
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


def limited(command: Sequence[str | os.PathLike[str]], size: int) -> list[str]:
    """Return a command that runs ``command``, which then cannot make any file larger than ``size`` bytes.

    A write beyond the limit writes a part, and then fails with ``errno.EFBIG``, like a full disk.
    """
    return [sys.executable, "-c", _LIMIT, str(size), *(os.fspath(word) for word in command)]


class SmallDisk:
    """A file system of ``size`` bytes, mounted during ``with SmallDisk(1 << 20) as path``.

    It is a tmpfs: Linux only, root only.

    Raises:
        OSError: it cannot be mounted here; skip the test.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._path = Path()

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp())
        try:
            self._run("mount", "-t", "tmpfs", "-o", f"size={self._size}", "penstock")
        except BaseException:
            self._path.rmdir()
            raise
        return self._path

    def __exit__(self, *exc: object) -> None:
        self._run("umount")
        self._path.rmdir()

    def _run(self, program: str, *words: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise OSError(f"SmallDisk needs the program {program}, which was not found; run it on Linux")
        done = subprocess.run(  # noqa: S603  our own words
            [found, *words, str(self._path)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise OSError(f"{program} failed: {done.stderr.strip()}")
