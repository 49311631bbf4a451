"""What the machine does for us: durable files, locks, threads, and reasons for refusals.

Sinks and ledgers use this package; it knows nothing about them. ``DiskStorage`` is the real disk; a test may
give a sink another ``Storage``, which loses everything that was not fsynced.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
