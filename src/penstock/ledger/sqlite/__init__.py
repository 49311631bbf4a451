"""The ledger that most runs use: one SQLite file."""

from penstock.ledger.sqlite.ledger import SqliteLedger

__all__ = ["SqliteLedger"]
