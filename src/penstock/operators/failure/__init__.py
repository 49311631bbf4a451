"""Operators that handle errors and the end of a run."""
