"""Documents from the web: a polite client, paging, and sources built from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
