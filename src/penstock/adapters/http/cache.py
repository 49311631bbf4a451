"""Answers on disk, to ask a server only whether they have changed.

A file for each answer: a line of JSON (headers, the hash of the body), then the body. Files are written
under another name first, so no reader sees half of one. What cannot be read counts as absent. Neither names
nor contents of files hold a secret: names are hashes of the URL without secrets, and secrets that an answer
repeats are taken out.

hishel does more (freshness, answers that vary). It was not chosen because it keeps requests with their URLs
and headers, and because it bounds the age of what it keeps, not the size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.adapters.http.secret import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1024**3
"""How large a cache may become, unless another limit is given."""

_KEEP = 0.9
"""This part of the limit remains when old answers are removed."""

_SUFFIX = ".answer"
_OK = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer from the cache."""

    headers: Mapping[str, str]
    content: bytes

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for the answer only if it has changed."""
        asked = {
            "if-none-match": self.headers.get("etag"),
            "if-modified-since": self.headers.get("last-modified"),
        }
        return {name: value for name, value in asked.items() if value}


class Cache:
    """Answers in a folder, which is created if it is missing. The methods block.

    Args:
        folder: May be shared by several processes.
        max_bytes: If more is kept, what was not used for the longest time is removed.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._size: int | None = None

    def path(self, url: str, headers: Mapping[str, str]) -> Path:
        """Return the file of the answer to a request, whose URL must contain no secret of the client."""
        asked = json.dumps([url, sorted(without_secrets(headers).items())])
        return self._folder / (hashlib.sha256(asked.encode()).hexdigest() + _SUFFIX)

    def load(self, path: Path) -> Kept | None:
        """Return the answer that a file holds; ``None`` if there is none, or if it is damaged."""
        try:
            head, _, content = path.read_bytes().partition(b"\n")
            about = json.loads(head)
            headers = {str(name): str(value) for name, value in about["headers"].items()}
            if about["sha256"] != hashlib.sha256(content).hexdigest():
                return None
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return Kept(headers, content)

    def store(self, path: Path, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Keep an answer that the server can compare later; does nothing if there is no room on the disk."""
        forbidden = "no-store" in headers.get("cache-control", "").lower()
        comparable = "etag" in headers or "last-modified" in headers
        if status != _OK or forbidden or not comparable or 2 * len(content) > self._max_bytes:
            return
        kept = {name: value for name, value in without_secrets(headers).items() if name != "set-cookie"}
        about = {"headers": kept, "sha256": hashlib.sha256(content).hexdigest()}
        data = json.dumps(about).encode() + b"\n" + content
        with suppress(OSError):
            self._write(path, data)
            self._size = (self._total() if self._size is None else self._size) + len(data)
            if self._size > self._max_bytes:
                self._size = self._shrink()

    def _write(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was used last, its size, and its path; files of crashed writers included."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, Path(entry.path)))
        return sorted(found)

    def _total(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _shrink(self) -> int:
        files = self._files()
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= _KEEP * self._max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total
