"""Telemetry: hooks that count, log, trace and record the events of runs, and never break or stall one."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
