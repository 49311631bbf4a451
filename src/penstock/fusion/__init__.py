"""Neighbouring synchronous elements become one compiled loop."""

from __future__ import annotations
