"""Where documents come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.adapters.adapter import Adapter
from penstock.adapters.pubmed.source import PubMedSource

if TYPE_CHECKING:
    import os

__all__ = ["Adapter", "PubMedSource", "pubmed"]

PAGE_SIZE = 256


def pubmed(
    *paths: str | os.PathLike[str],
    page_size: int = PAGE_SIZE,
    processes: int = 1,
    max_record_bytes: int | None = None,
    max_ratio: int | None = None,
    max_unpacked_bytes: int | None = None,
) -> Adapter:
    """Read PubMed XML files (baseline, update, efetch), gzipped or not, as an adapter.

    Args:
        paths: Files and globs, at least one; globs are read in the order of their names.
        page_size: Records that travel together, at most.
        processes: In how many processes files are parsed, each file in one; with more than one, files take
            turns by pages, so that the order of documents is another, though always the same.
        max_record_bytes: A larger record fails, and is not held in memory (64 MiB by default).
        max_ratio: A gzip file that unpacks to more than so many times its bytes is refused (200 by default).
        max_unpacked_bytes: The same for one that unpacks to more than so many bytes (100 GiB by default).

    Raises:
        TypeError: a path is neither a string nor a path.
        ValueError: there is no path, or a number is less than 1.
    """
    source = PubMedSource(
        *paths,
        page_size=page_size,
        processes=processes,
        max_record_bytes=max_record_bytes,
        max_ratio=max_ratio,
        max_unpacked_bytes=max_unpacked_bytes,
    )
    return Adapter(source, page_size=page_size)
