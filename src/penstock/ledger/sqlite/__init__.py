"""The ledger in a SQLite file, which most runs use."""

from penstock.ledger.sqlite.ledger import SqliteLedger

__all__ = ["SqliteLedger"]
