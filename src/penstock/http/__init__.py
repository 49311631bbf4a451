"""Serves pipelines over HTTP: start, watch and stop them, and stream their events."""

from __future__ import annotations

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
