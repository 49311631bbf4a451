"""Penstock: reactive streams for asyncio, driven by the consumer's demand."""
