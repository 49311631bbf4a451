"""Operators that store the position of a run."""

from penstock.operators.resume.checkpoint import checkpoint

__all__ = ["checkpoint"]
