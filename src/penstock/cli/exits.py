"""All exit codes."""

from __future__ import annotations

from typing import Final

__all__ = ["ALL_COMPLETED", "DOCUMENTS_FAILED", "INCOMPLETE", "INTERRUPTED", "READER_LEFT", "UNUSABLE"]

ALL_COMPLETED: Final = 0
"""Every document completed, or there was nothing to do."""

DOCUMENTS_FAILED: Final = 1
"""The run completed; some documents failed and are in the dead letters."""

UNUSABLE: Final = 2
"""Wrong usage, or an input, output or ledger that cannot be used."""

INCOMPLETE: Final = 3
"""The run completed with no documents, or with another number than the source promised."""

INTERRUPTED: Final = 130
"""Ctrl-C or SIGTERM: 128 + SIGINT, as in shells."""

READER_LEFT: Final = 141
"""The reader of stdout went away: 128 + SIGPIPE, as in shells."""
