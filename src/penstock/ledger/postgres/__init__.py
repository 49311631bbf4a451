"""The ledger in a PostgreSQL database, for runs on several machines."""

from penstock.ledger.postgres.ledger import PostgresLedger

__all__ = ["PostgresLedger"]
