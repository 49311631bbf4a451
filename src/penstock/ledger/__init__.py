"""Ledgers remember an ingestion: its runs, the outcome of each document, and the position to resume from."""

from __future__ import annotations

from penstock.ledger.choice import ledger_from
from penstock.ledger.memory import MemoryLedger
from penstock.ledger.postgres.ledger import PostgresLedger
from penstock.ledger.sqlite.ledger import SqliteLedger
from penstock.ledger.status import KeyStatus, read_status

__all__ = ["KeyStatus", "MemoryLedger", "PostgresLedger", "SqliteLedger", "ledger_from", "read_status"]
