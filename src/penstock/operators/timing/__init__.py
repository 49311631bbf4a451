"""Operators that depend on time."""
