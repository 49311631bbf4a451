"""The adapter ``csv``: tables in text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from penstock.adapters.registry import AdapterEntry
from penstock.adapters.text_files.settings import TextFilesSettings

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from penstock.adapters.event_flow import Adapter

PAGE_SIZE = 256


class CsvSettings(TextFilesSettings):
    """Settings of ``csv``."""

    delimiter: str | None = Field(
        default=None,
        description="Between fields. Default: a tab if the first line has one, else ,",
    )
    quote: str | None = Field(
        default=None,
        description='Around fields, or "" for none. Default: ", but none with tabs.',
    )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the source."""
        return {**super().arguments(), "delimiter": self.delimiter, "quote": self.quote}


def csv(
    *paths: str | os.PathLike[str],
    id: str | None = None,  # noqa: A002  the name of the field
    version: str | None = None,
    title: str | None = None,
    content: str | None = None,
    delimiter: str | None = None,
    quote: str | None = None,
    page_size: int = PAGE_SIZE,
    **limits: Any,
) -> Adapter:
    """Read tables in text (CSV, TSV) as an adapter: each row is a document, its fields are the metadata.

    The first row of each file names the columns. Empty fields are left out, and all other values are text.

    Args:
        paths: Files and globs, gzipped or not, archives of them, or ``-`` for standard input.
        id: The column of the id. Without it the column ``id`` is taken, and otherwise ``file#index``.
        version: The column of a version; the ``doc_id`` is then ``<id>.<version>``.
        title: The column of the title.
        content: The column of the text.
        delimiter: The character between fields; by default a tab if the first line has one, else a comma.
        quote: The character around fields that contain others, ``""`` for none; by default ``"``, but none in
            files with tabs.
        page_size: The most rows in one page.
        limits: ``max_record_bytes``, ``max_ratio``, ``max_unpacked_bytes`` and ``on_bad_file``, as those of
            `pubmed`.
    """
    settings = CsvSettings(
        id=id, version=version, title=title, content=content, delimiter=delimiter, quote=quote, **limits
    )
    return _build(paths, settings, page_size)


def _build(
    paths: Sequence[str | os.PathLike[str]], settings: CsvSettings, page_size: int = PAGE_SIZE
) -> Adapter:
    from penstock.adapters.event_flow import Adapter
    from penstock.adapters.text_files.rows import RowsSource

    return Adapter(RowsSource(*paths, page_size=page_size, **settings.arguments()), page_size=page_size)


entry = AdapterEntry(
    name="csv",
    description="Rows of tables in text: CSV and TSV.",
    inputs="Tables whose first row names the columns, gzipped or not, archives of them, '*.csv', or -.",
    settings=CsvSettings,
    build=_build,
    replay=lambda: _build(["dead letters"], CsvSettings()),  # the path is never opened
)
