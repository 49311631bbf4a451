"""Ledgers remember an ingestion: its runs, the outcome of each document, and the position to resume from."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
