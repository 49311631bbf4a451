"""Operators that store the position of a run."""
