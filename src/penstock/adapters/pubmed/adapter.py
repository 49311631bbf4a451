"""The adapter ``pubmed``: the call that builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from penstock.adapters.event_flow import Adapter
from penstock.adapters.pubmed.source import PubMedSource

if TYPE_CHECKING:
    import os

PAGE_SIZE = 256


def pubmed(
    *paths: str | os.PathLike[str],
    page_size: int = PAGE_SIZE,
    processes: int | None = None,
    max_record_bytes: int | None = None,
    max_ratio: int | None = None,
    max_unpacked_bytes: int | None = None,
    on_bad_file: Literal["stop", "skip"] = "stop",
) -> Adapter:
    """Read PubMed XML files (baseline, update, efetch) or MEDLINE text, gzipped or not, as an adapter.

    Args:
        paths: Files and globs, at least one, read in this order. The files of a glob are sorted by name, with
            numbers compared as numbers. A zip or tar archive stands for the files in it; ``-`` is standard
            input.
        page_size: The most records in one page.
        processes: How many processes parse; by default as many as there are processors, once the input turns
            out to be large enough. 1 parses in this process. Documents and their order are always the same.
        max_record_bytes: A larger record fails and is not held in memory (16 MiB by default; 64 for
            a list of deletions).
        max_ratio: A gzip file that unpacks to more than this many times its size is refused (200 by default).
        max_unpacked_bytes: A gzip file that unpacks to more bytes is refused (100 GiB by default).
        on_bad_file: With ``skip``, a file that cannot be read, or not to its end, becomes one failed document
            and a dead letter, and the next file is read. With ``stop`` it ends the run.

    Raises:
        TypeError: a path is neither a string nor a path.
        ValueError: no path was given, or a number is less than 1.
    """
    source = PubMedSource(
        *paths,
        page_size=page_size,
        max_record_bytes=max_record_bytes,
        max_ratio=max_ratio,
        max_unpacked_bytes=max_unpacked_bytes,
        on_bad_file=on_bad_file,
    )
    return Adapter(source, page_size=page_size, processes=processes)
