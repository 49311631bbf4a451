"""The ledger in a SQLite file, which most runs use."""
