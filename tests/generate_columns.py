"""Writes the table of PubMed's columns into ``docs/columns.md``, from the annotations of ``PubMedColumns``.

Run ``python tests/generate_columns.py`` when you have changed them. ``tests/test_columns.py`` fails if the table is not
current.
"""

from __future__ import annotations

from pathlib import Path

from penstock.adapters.pubmed.columns import PubMedColumns
from penstock.columns import columns_of

TARGET = Path(__file__).resolve().parent.parent / "docs" / "columns.md"
BEGIN = "<!-- columns of pubmed: tests/generate_columns.py writes them -->\n"
END = "<!-- end of columns -->"


def table() -> str:
    """Return the table."""
    rows = ["| column | type | |", "|---|---|---|"]
    for column in columns_of(PubMedColumns):
        index = " Indexed." if column.indexed else ""
        rows.append(f"| `{column.name}` | {column.type} | {column.description}{index} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """Return the page with today's table."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text("utf-8")), "utf-8")
