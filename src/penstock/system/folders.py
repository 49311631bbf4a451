"""Folders that are durable."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class FolderNotMade(OSError):
    """A folder could not be made; ``filename`` is the folder."""


def make_folders(folder: Path) -> list[Path]:
    """Create ``folder`` and the folders above it durably if they do not exist.

    Returns:
        The folders that were created, the highest first.

    Raises:
        FolderNotMade: one of them cannot be created; then none was.
    """
    if folder.is_dir():
        return []
    made = make_folders(folder.parent)
    try:
        folder.mkdir()
        made.append(folder)
        fsync_folder(folder.parent)
    except FileExistsError:
        if not folder.is_dir():
            remove_empty(made)
            raise
    except OSError as error:
        remove_empty(made)
        raise FolderNotMade(error.errno, error.strerror, str(folder)) from error
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that are empty, the last one first."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def fsync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable; does nothing on Windows, where folders cannot be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
