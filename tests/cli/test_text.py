"""Text for a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.cli.text import (
    clean,
    count,
    duration,
    folded,
    percent,
    shell_command,
    shell_word,
    shorten,
    size,
)


@given(st.text())
def test_clean_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    """Cleaned text has no control, format, surrogate or separator character except the blank."""
    for char in clean(text):
        assert char == " " or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "M"])))
def test_clean_leaves_ordinary_text_alone(text: str) -> None:
    """Letters of any script, marks, digits and signs are not changed."""
    assert clean(text) == text


def test_clean_shows_what_it_took_the_power_from() -> None:
    """Escape sequences and bidirectional overrides are escaped; a line break becomes a blank."""
    assert clean("a\x1b[31mred\nb\u202ec\x9b") == r"a\x1b[31mred b\u202ec\x9b"


def test_shorten_counts_the_ellipsis() -> None:
    """A shortened text has the given length."""
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"


# os.fsdecode gives any file name; a NUL cannot be in one
names = st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@settings(max_examples=15, deadline=None)
@given(st.lists(names, min_size=1, max_size=20))
def test_a_shell_reads_back_exactly_the_words(words: list[str]) -> None:
    """Bash reads the quoted command back as the same words, even if names are not text."""
    line = shell_command(["printf", r"%s\0", *words])
    out = subprocess.run(["bash", "-c", line], check=True, capture_output=True).stdout
    assert out.split(b"\0")[:-1] == [os.fsencode(word) for word in words]


@given(names)
def test_a_shell_word_can_be_shown(word: str) -> None:
    """A quoted word is printable."""
    assert shell_word(word).isprintable()


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0"), (0.26, "0.3"), (7, "7"), (9.96, "10.0"), (12.4, "12"), (1234567, "1,234,567")],
)
def test_count(number: float, words: str) -> None:
    """Numbers are grouped; small rates keep a digit."""
    assert count(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (61_234_567, "61.2 MB"), (10**15, "1000.0 TB")],
)
def test_size(number: int, words: str) -> None:
    """Bytes are counted in powers of a thousand."""
    assert size(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """Times have a suitable unit."""
    assert duration(seconds) == words


def test_percent_never_says_all_too_early() -> None:
    """100 % means that nothing is missing; more than all is also 100 %."""
    assert (percent(999, 1000), percent(1000, 1000), percent(1001, 1000)) == (99, 100, 100)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_words_are_broken_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal no line is longer than it is wide, words stay whole, and a pipe gets whole lines."""
    monkeypatch.setenv("COLUMNS", "30")
    lines = [
        "note  one two three four five six seven eight nine ten",
        "",
        "    indented words that go on and on",
    ]
    assert folded(io.StringIO(), lines, hang=6) == lines
    terminal = Terminal()
    found = folded(terminal, lines, hang=6)
    assert max(map(len, found)) <= 30
    assert " ".join(" ".join(found).split()) == " ".join(" ".join(lines).split())
    assert found[1].startswith("      ")
    assert "" in found
    assert found[-1].startswith(" " * 10)
