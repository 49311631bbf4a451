"""Parses the records of any adapter in worker processes, in order: a stage between fetch and events."""
