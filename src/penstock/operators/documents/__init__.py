"""Operators on the documents in a stream of events."""
