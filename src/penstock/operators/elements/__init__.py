"""Operators that look at one item at a time. Most of them run with their neighbours in one loop."""
