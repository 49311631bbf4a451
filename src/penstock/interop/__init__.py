"""aioreactive, both ways."""

from __future__ import annotations
