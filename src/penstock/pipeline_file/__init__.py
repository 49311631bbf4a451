"""Pipelines from a file: reads and checks a TOML file, builds its pipeline, and writes such files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
