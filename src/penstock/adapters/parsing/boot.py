"""Starts a worker that parses. Imports only the standard library, and lets the worker import little.

A package of Penstock usually imports all that it offers, which takes most of the time until a worker can
parse. Here a package runs its own ``__init__`` only when somebody asks it for a name.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from importlib.util import find_spec, module_from_spec
from typing import Any

_LAZY = (
    "penstock",
    "penstock.adapters",
    "penstock.operators",
    "penstock.runtime",
    "penstock.sinks",
    "penstock.sinks.files",
    "penstock.system",
)


def main() -> None:
    """Prepare the packages, then do the work."""
    _worker().main()


def fork() -> None:
    """Prepare the packages, import the modules that the command line names, then fork workers."""
    work = _worker().work
    for name in sys.argv[2:]:
        with suppress(ImportError):  # whoever needs it says so
            importlib.import_module(name)
    importlib.import_module("penstock.system.forking").main(work)


def _worker() -> Any:
    for name in _LAZY:
        _load_later(name)
    return importlib.import_module("penstock.adapters.parsing.worker")


def _load_later(name: str) -> None:
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, module = spec.loader, module_from_spec(spec)

    def load(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        del module.__dict__["__getattr__"]
        loader.exec_module(module)
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = load
    sys.modules[name] = module
