"""PubMed's dates, normalised to ISO 8601 as far as possible; the original text is always kept.

PubMed writes dates as ``<Year><Month><Day>`` with months as numbers, abbreviations or words, as
``<Season>``, or as free text in ``<MedlineDate>``: ``1979 Jul-Aug``, ``1998 Dec-1999 Jan``,
``1976-1977 Fall-Winter``, ``1980 Jun 16-30``. ISO 8601 allows reduced precision (``1979-07``), so nothing
is invented: with a season, or a month that is not understood, only the year remains.
"""

from __future__ import annotations

import re
from calendar import monthrange
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict

if TYPE_CHECKING:
    from lxml.etree import _Element as Element


class PubMedDate(TypedDict):
    """One date of a citation.

    ``date`` is ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD`` or ``YYYY-MM-DDThh:mm``, or empty if there is no year.
    ``precision`` is ``year``, ``month``, ``day``, ``season`` or ``range``, or empty without a date. ``raw``
    is the original text, its parts joined by spaces (hour and minute as ``h:m``). A range has an ``end`` in
    the same form as ``date``. ``season`` is present if one was given.
    """

    date: str
    precision: str
    raw: str
    end: NotRequired[str]
    season: NotRequired[str]


class _Known(NamedTuple):
    date: str
    raw: str
    end: str = ""
    season: str = ""
    precision: str = ""


_PRECISIONS = {0: "", 4: "year", 7: "month"}
"""By the length of a date."""
_MONTHS = {
    name[:length]: number
    for number, name in enumerate(
        (
            *("january", "february", "march", "april", "may", "june"),
            *("july", "august", "september", "october", "november", "december"),
        ),
        start=1,
    )
    for length in range(3, len(name) + 1)
}
_SEASONS = frozenset({"spring", "summer", "autumn", "fall", "winter"})
_TOKEN = re.compile(r"\d+(?:st|nd|rd|th)?|[^\W\d_]+")
_SEPARATOR = re.compile("[-/\u2010-\u2015]")
_YEAR_DIGITS, _SHORT_YEAR_DIGITS = 4, 2
_DAY = len("YYYY-MM-DD")
_LAST_MONTH, _HOURS, _MINUTES = 12, 24, 60
_ALWAYS = 28  # every month has a day of this number


def read_date(element: Element) -> PubMedDate:
    """Read a date of ``Year``, ``Month``, ``Day``, ``Hour``, ``Minute``, ``Season`` or ``MedlineDate``."""
    known = _normalise(tuple([(child.tag, child.text) for child in element]))
    date: PubMedDate = {"date": known.date, "precision": known.precision, "raw": known.raw}
    if known.end:
        date["end"] = known.end
    if known.season:
        date["season"] = known.season
    return date


def read_numbers(year: bytes, month: bytes, day: bytes, hour: bytes, minute: bytes) -> PubMedDate:
    """Return what `read_date` does for a date of digits; ``hour`` and ``minute`` may be empty."""
    known = _of_numbers(year, month, day, hour, minute)
    return {"date": known.date, "precision": known.precision, "raw": known.raw}


def _of_numbers(year: bytes, month: bytes, day: bytes, hour: bytes, minute: bytes) -> _Known:
    texts = year.decode(), month.decode(), day.decode(), hour.decode(), minute.decode()
    y, m, d = (int(text) for text in texts[:3])
    if y and 1 <= m <= _LAST_MONTH and 1 <= d <= _ALWAYS:
        date, raw = f"{y:04d}-{m:02d}-{d:02d}", " ".join(texts[:3])
        if not hour:
            return _Known(date, raw, precision="day")
        h, mm = int(hour), int(minute)
        if h < _HOURS and mm < _MINUTES:
            return _Known(f"{date}T{h:02d}:{mm:02d}", f"{raw} {texts[3]}:{texts[4]}", precision="day")
    tags = ("Year", "Month", "Day", "Hour", "Minute")
    return _normalise(tuple([(tag, text) for tag, text in zip(tags, texts, strict=True) if text]))


# Dates repeat: the 156,000 dates of one baseline file have a few thousand different values.
@lru_cache(maxsize=8192)
def _normalise(parts: tuple[tuple[str, str | None], ...]) -> _Known:
    known = _parse(parts)
    precision = _PRECISIONS.get(len(known.date), "day")
    if known.date and (known.end or known.season):
        precision = "range" if known.end else "season"
    return known._replace(precision=precision)


def _parse(parts: tuple[tuple[str, str | None], ...]) -> _Known:
    texts = {tag: (text or "").strip() for tag, text in parts}
    part = texts.get
    year, month, day, season = part("Year", ""), part("Month", ""), part("Day", ""), part("Season", "")
    hour, minute = part("Hour", ""), part("Minute", "")
    raw = " ".join(text for tag, text in texts.items() if text and tag not in ("Hour", "Minute"))
    timed = f"{raw} {hour}:{minute}".strip() if hour or minute else raw
    number = _month(month)
    if part("MedlineDate") and not year:
        return medline_date(raw)._replace(raw=timed)
    if season or (month and number is None):
        return medline_date(f"{year} {season or month} {day}")._replace(raw=timed)
    if hour or minute:
        return _Known(_with_time(_iso(_number(year), number, _number(day)), hour, minute), timed)
    return _Known(_iso(_number(year), number, _number(day)), raw)


def _with_time(date: str, hour: str, minute: str) -> str:
    h, m = _number(hour), _number(minute or "0")
    if len(date) != len("YYYY-MM-DD") or h is None or m is None or h >= _HOURS or m >= _MINUTES:
        return date
    return f"{date}T{h:02d}:{m:02d}"


def _number(text: str) -> int | None:
    return int(text) if len(text) <= _YEAR_DIGITS and text.isascii() and text.isdigit() else None


def _month(text: str) -> int | None:
    number = _number(text)
    if number is None:
        number = _MONTHS.get(text.lower())
    return number if number and number <= _LAST_MONTH else None


def _iso(year: int | None, month: int | None = None, day: int | None = None) -> str:
    if not year:
        return ""
    if month is None:
        return f"{year:04d}"
    if not day or day > monthrange(year, month)[1]:
        return f"{year:04d}-{month:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}"


@lru_cache(maxsize=8192)
def first_day(date: str) -> str:
    """Return the first day of a date of ``PubMedDate``, as ``YYYY-MM-DD``."""
    return date[:10] + "-01-01"[len(date) - 4 :] if len(date) < _DAY else date[:_DAY]


@lru_cache(maxsize=8192)
def last_day(date: str) -> str:
    """Return the last day of a date of ``PubMedDate``, as ``YYYY-MM-DD``."""
    if len(date) >= _DAY:
        return date[:_DAY]
    year, month = int(date[:4]), int(date[5:7] or _LAST_MONTH)
    return f"{year:04d}-{month:02d}-{monthrange(year, month)[1]:02d}"


class _Side(NamedTuple):
    """One side of a range."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    season: str = ""


def medline_date(text: str) -> _Known:
    """Normalise the free text of a ``MedlineDate``, or a year and a season."""
    sides = [_side(part) for part in _SEPARATOR.split(text)]
    season = "-".join(side.season for side in sides if side.season)
    years = [side.year for side in sides if side.year]
    if not years:
        return _Known("", text, season=season)
    dated = [side for side in sides if side.year or side.month or side.day]
    first = dated[0]._replace(year=dated[0].year or years[0])
    start = _iso(first.year, first.month, first.day)
    end = _iso(*_until(first, dated[-1])) if len(dated) > 1 else ""
    return _Known(start, text, end if end > start else "", season)


def _until(first: _Side, last: _Side) -> tuple[int | None, int | None, int | None]:
    """Complete the end of a range with the month, year or century of its beginning."""
    if last.year or last.month:
        return last.year or first.year, last.month, last.day
    if first.month or not first.year or not last.day:
        return first.year, first.month, last.day
    return first.year - first.year % 100 + last.day, None, None  # "1979-80"


def _side(text: str) -> _Side:
    year = month = day = None
    season = ""
    for token in _TOKEN.findall(text):
        number = _number(token)
        if number is None:
            season = season or (token if token.lower() in _SEASONS else "")
            month = month or _MONTHS.get(token.lower())
        elif len(token) == _YEAR_DIGITS:
            year = year or number
        elif len(token) <= _SHORT_YEAR_DIGITS:
            day = day or number
    return _Side(year, month, day, season)
