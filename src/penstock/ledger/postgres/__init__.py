"""The ledger in a PostgreSQL database, for runs on several machines."""
