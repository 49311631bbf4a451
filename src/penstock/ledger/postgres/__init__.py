"""The ledger for runs on several machines: a PostgreSQL database."""

from penstock.ledger.postgres.ledger import PostgresLedger

__all__ = ["PostgresLedger"]
