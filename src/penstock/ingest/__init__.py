"""One run of an ingestion: from a source into a sink and a ledger."""
