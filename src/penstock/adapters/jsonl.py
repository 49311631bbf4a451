"""The adapter ``jsonl``: files of JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapters.registry import AdapterEntry
from penstock.adapters.text_files.settings import TextFilesSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from penstock.adapters.event_flow import Adapter

PAGE_SIZE = 256


def jsonl(
    *paths: str | os.PathLike[str],
    id: str | None = None,  # noqa: A002  the name of the field
    version: str | None = None,
    title: str | None = None,
    content: str | None = None,
    page_size: int = PAGE_SIZE,
    **limits: Any,
) -> Adapter:
    """Read files of JSON Lines, one object a line, as an adapter. The fields become the metadata.

    Args:
        paths: Files and globs, gzipped or not, archives of them, or ``-`` for standard input.
        id: The place of the id, such as ``meta.id``. Without it the field ``id`` is taken, and a record that
            has none gets ``file#index``.
        version: The place of a version; the ``doc_id`` is then ``<id>.<version>``.
        title: The place of the title.
        content: The place of the text.
        page_size: The most records in one page.
        limits: ``max_record_bytes``, ``max_ratio``, ``max_unpacked_bytes`` and ``on_bad_file``, as those of
            `pubmed`.
    """
    settings = TextFilesSettings(id=id, version=version, title=title, content=content, **limits)
    return _build(paths, settings, page_size)


def _build(
    paths: Sequence[str | os.PathLike[str]], settings: TextFilesSettings, page_size: int = PAGE_SIZE
) -> Adapter:
    from penstock.adapters.event_flow import Adapter
    from penstock.adapters.text_files.json_lines import JsonLinesSource

    source = JsonLinesSource(*paths, page_size=page_size, **settings.arguments())
    return Adapter(source, page_size=page_size)


entry = AdapterEntry(
    name="jsonl",
    description="Records from JSON Lines.",
    inputs="Files of JSON Lines, gzipped or not, archives of them, patterns like '*.jsonl.gz', or -.",
    settings=TextFilesSettings,
    build=_build,
    replay=lambda: _build(["dead letters"], TextFilesSettings()),  # the path is never opened
)
