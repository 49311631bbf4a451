"""Sinks that write to a table of a database: SQLite, DuckDB and PostgreSQL."""
