"""Frames: what one process writes to another through a pipe, with its length in front. Imports nothing."""

from __future__ import annotations

LENGTH = 8
"""Bytes in front of each frame that say how long it is."""


def framed(body: bytes) -> bytes:
    """Return ``body`` with its length in front."""
    return len(body).to_bytes(LENGTH, "big") + body
