"""Where documents come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapters.adapter import Adapter
from penstock.adapters.biomed.pubmed_source import PubMedSource

if TYPE_CHECKING:
    import os

__all__ = ["Adapter", "PubMedSource", "pubmed"]

PAGE_SIZE = 256


def pubmed(*paths: str | os.PathLike[str], page_size: int = PAGE_SIZE, processes: int = 1) -> Adapter:
    """Read PubMed XML files (baseline, update, efetch), gzipped or not, as an adapter.

    Args:
        paths: Files and globs, at least one; globs are read in the order of their names.
        page_size: Records that travel together, at most.
        processes: In how many processes files are parsed, each file in one; with more than one, files take
            turns by pages, so that the order of documents is another, though always the same.

    Raises:
        TypeError: a path is neither a string nor a path.
        ValueError: there is no path, or a number is less than 1.
    """
    return Adapter(PubMedSource(*paths, page_size=page_size, processes=processes), page_size=page_size)
