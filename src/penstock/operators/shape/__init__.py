"""Operators that change how many items there are, or group them in lists."""
