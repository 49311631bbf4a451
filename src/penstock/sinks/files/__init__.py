"""Sinks that write files: JSON Lines and Parquet."""
