"""The command line: each command builds a pipeline or reads a ledger, and prints what its events say."""
