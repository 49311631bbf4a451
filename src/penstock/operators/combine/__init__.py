"""Operators that turn several flows into one."""
