"""Notices files that a shell has put in the order of text, where their numbers mean another order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.cli.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"[0-9]+")


def unquoted_glob(files: Sequence[str]) -> str | None:
    """Return a warning if ``files`` look like a glob that the shell has expanded, else ``None``.

    A shell sorts what a glob matches as text: ``upd10.xml`` comes before ``upd9.xml``. The order of files
    counts, because of two records with one id the last one stays. Files in the order of their numbers, and
    files in any other order than that of text, were named as they are meant.
    """
    for alike in _series(files).values():
        numbered = sorted(alike, key=_numbers)
        if alike == numbered or not _in_text_order(alike):
            continue
        late, early = next((one, other) for one, other in zip(alike, numbered, strict=True) if one != other)
        return (
            f"warning: {shell_word(late)} is read before {shell_word(early)}: a shell sorts the files of a "
            f"glob as text; quote it, as in {shell_word(_glob(alike))}, to read them in the order of their "
            "numbers"
        )
    return None


def _series(files: Sequence[str]) -> dict[str, list[str]]:
    """Return the files whose names differ in numbers only, by what they have in common."""
    series: dict[str, list[str]] = {}
    for file in files:
        series.setdefault(_NUMBER.sub("0", file), []).append(file)
    return series


def _numbers(file: str) -> list[int]:
    return [int(digits) for digits in _NUMBER.findall(file)]


def _in_text_order(files: list[str]) -> bool:
    """Return whether a shell sorts them so: by bytes, or as many locales do, without punctuation."""
    return files in (sorted(files), sorted(files, key=lambda file: re.sub(r"[\W_]", "", file)))


def _glob(files: list[str]) -> str:
    """Return a glob for files that differ in numbers only: a star for each number that differs."""
    columns = list(zip(*(_NUMBER.findall(file) for file in files), strict=True))
    values = iter(column[0] if len(set(column)) == 1 else "*" for column in columns)
    return _NUMBER.sub(lambda _: next(values), files[0])
