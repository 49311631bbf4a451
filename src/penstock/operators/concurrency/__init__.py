"""Operators that await functions, work on several items at once, or fetch items ahead of demand."""
