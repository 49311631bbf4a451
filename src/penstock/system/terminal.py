"""JSON on a terminal."""

from __future__ import annotations

import re

_UNSAFE = re.compile("[\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that JSON does not escape but a terminal obeys: DEL, C1 controls, bidirectional overrides."""


def for_terminal(data: bytes) -> bytes:
    """Write characters that a terminal obeys as JSON escapes. The JSON values stay the same."""
    text = data.decode("utf-8")
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode("utf-8")
