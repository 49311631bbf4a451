"""Operators that store how far a run came."""

from penstock.operators.resume.checkpoint import checkpoint

__all__ = ["checkpoint"]
