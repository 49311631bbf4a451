"""``download``: a body as a file, which a later attempt completes where an earlier one broke off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.adapters.http.body import BodyError
from penstock.adapters.http.error import HttpError
from penstock.adapters.http.hosts import shown
from penstock.system.folders import fsync_folder
from penstock.text import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.adapters.http.client import HttpClient
    from penstock.adapters.http.exchange import Ask, Exchange

MAX_BYTES = 64 * 1024**3
"""The largest file, unless another limit is given."""

LONGEST = 6 * 3600.0
"""Seconds for one attempt, unless another limit is given."""

_SLOWEST = 1000
_WATCHED = 60.0
_UNSATISFIABLE = 416
_PARTIAL = 206
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)\Z")
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


class Part:
    """The part of a file that has arrived: ``NAME.part``, and beside it how to ask for the rest.

    A part can only be completed if the server named its version (a strong ``ETag``, or ``Last-Modified``).
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path.with_name(path.name + ".part")
        self._about = path.with_name(path.name + ".part.json")
        self._url = url

    def begin(self) -> tuple[int, str]:
        """Return how many bytes there are, and their version; ``(0, "")`` if they cannot be completed."""
        try:
            about = json.loads(self._about.read_bytes())
            if about["url"] == self._url and isinstance(about["version"], str) and about["version"]:
                return self.path.stat().st_size, about["version"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def note(self, version: str) -> None:
        """Remember the version of what arrives now; without one, forget it."""
        if version:
            self._about.write_text(json.dumps({"url": self._url, "version": version}), encoding="utf-8")
        else:
            self._about.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the part."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Make the part durable, and give it the name of the file."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        fsync_folder(path.parent)
        self._about.unlink(missing_ok=True)


def checked_checksum(checksum: str) -> tuple[str, str]:
    """Return the algorithm and the digest of ``md5:d41d8…``; raise ``ValueError`` if it is neither."""
    algorithm, _, digest = checksum.partition(":")
    if algorithm not in _ALGORITHMS or not re.fullmatch("[0-9a-fA-F]+", digest):
        names = ", ".join(_ALGORITHMS)
        msg = f"a checksum is written as one of {names}, a colon and hex digits, not {checksum!r}"
        raise ValueError(msg)
    return algorithm, digest.lower()


async def download(http: HttpClient, ask: Ask, path: Path, *, checksum: str | None, max_bytes: int) -> Path:
    """Download what ``ask`` asks for; see ``HttpClient.download``."""
    wanted = None if checksum is None else checked_checksum(checksum)
    part = Part(path, shown(ask.url))
    if not await _attempt(http, ask, part, max_bytes):  # what is there is no part of what the server has
        part.forget()
        await _attempt(http, ask, part, max_bytes)
    if wanted is not None:
        found = await asyncio.to_thread(_digest, part.path, wanted[0])
        if found != wanted[1]:
            part.forget()
            raise HttpError(
                f"{shown(ask.url)}: the {wanted[0]} of the file is {found}, and should be {wanted[1]}",
                host=http.host_of(ask.url),
                is_retryable=True,
                reason="a wrong checksum",
            )
    await asyncio.to_thread(part.finish, path)
    return path


async def _attempt(http: HttpClient, ask: Ask, part: Part, max_bytes: int) -> bool:
    """Ask for what is missing; return whether the part is complete. If not, it must be removed."""
    at, version = part.begin()
    headers = {**ask.headers, "accept-encoding": "identity"}
    if at:
        headers |= {"range": f"bytes={at}-", "if-range": version}
    ask = replace(ask, headers=headers, allow=(_UNSATISFIABLE,) if at else ())

    async def use(exchange: Exchange) -> bool:
        first, total = _range_of(exchange.headers)
        if exchange.status == _UNSATISFIABLE:
            return total == at
        if exchange.status == _PARTIAL and (not at or first != at):
            return False
        begin = at if exchange.status == _PARTIAL else 0
        if not begin:
            part.note(_version(exchange.headers))
            total = _declared(exchange.headers)
        await _write(exchange, part.path, begin, total, max_bytes)
        return True

    return await http.exchange(ask, use)


async def _write(exchange: Exchange, path: Path, begin: int, total: int | None, max_bytes: int) -> None:
    """Write the body behind the first ``begin`` bytes."""
    if total is not None and total > max_bytes:
        raise BodyError(f"the file has {size(total)}, more than allowed (max_bytes={max_bytes})")
    clock = asyncio.get_running_loop().time
    length, since, then = begin, clock(), begin
    with _opened(path, begin) as file:
        async with aclosing(exchange.pieces()) as pieces:
            async for piece in pieces:
                length += len(piece)
                if length > max_bytes:
                    raise BodyError(f"the file has more bytes than allowed (max_bytes={max_bytes})")
                file.write(piece)
                if clock() - since > _WATCHED:
                    if length - then < _SLOWEST * _WATCHED:
                        raise BodyError(f"fewer than {_SLOWEST} bytes a second arrive", is_retryable=True)
                    since, then = clock(), length
    if total is not None and length != total:
        raise BodyError(f"{length} bytes of {total} arrived", is_retryable=True)


def _opened(path: Path, begin: int) -> Any:
    file = path.open("r+b" if begin else "wb")
    file.truncate(begin)
    file.seek(begin)
    return file


def _range_of(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return the first byte and the size of the whole file, as ``Content-Range`` has them."""
    found = _RANGE.match(headers.get("content-range", "").strip())
    if found is None:
        return None, None
    first, _, total = found.groups()
    return None if first is None else int(first), None if total == "*" else int(total)


def _declared(headers: Mapping[str, str]) -> int | None:
    if headers.get("content-encoding", "identity") != "identity":
        return None
    with suppress(ValueError):
        return int(headers.get("content-length", ""))
    return None


def _version(headers: Mapping[str, str]) -> str:
    """Return what names the version of the file to ``If-Range``."""
    if headers.get("content-encoding", "identity") != "identity" or headers.get("accept-ranges") == "none":
        return ""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified", "")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
