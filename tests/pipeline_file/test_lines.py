"""The lines of keys in a TOML text."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.pipeline_file.lines import line_of, lines_of

BLANKS = st.sampled_from(["", " ", "\n", " # a = [\n", "\n\n"])
KEYS = st.sampled_from(["a", "b-c", '"d.e"', "'f=g'", "h . i", '"\\u006a"'])
TEXTS = st.sampled_from(['"[x"', "'{'", '"""a\n"b" = [\n\\""""', "'''\n'' ]\n'''", '"\\" # "', '""""q"""""'])
SCALARS = TEXTS | st.sampled_from(["1.5", "true", "1979-05-27 07:32:00", "-inf"])


@st.composite
def texts(draw):
    """Draw a text whose keys are ``k0``, ``k1`` and so on, and the lines where they stand."""
    lines, text, count = {}, "", 0

    def key():
        nonlocal count
        name = f"k{count}"
        count += 1
        lines[name] = text.count("\n") + 1
        return f'"{name}"' if draw(st.booleans()) else name

    def value(depth):
        nonlocal text
        kind = draw(st.sampled_from(["scalar", "list", "table"][: 1 if depth > 2 else 3]))
        if kind == "scalar":
            text += draw(SCALARS)
        elif kind == "list":
            text += "["
            for _ in range(draw(st.integers(0, 3))):
                text += draw(BLANKS)
                value(depth + 1)
                text += draw(BLANKS) + ","
            text += draw(BLANKS) + "]"
        else:
            text += "{"
            for number in range(draw(st.integers(0, 2))):
                text += ", " if number else " "
                text += key()
                text += " = "
                value(depth + 1)
            text += " }"

    for _ in range(draw(st.integers(1, 6))):
        text += draw(BLANKS) + "\n"
        header = draw(st.sampled_from(["", "[{}]", "[[{}]]", "[ {}.x ]"]))
        if header:
            before, after = header.split("{}")
            text += before
            text += key()
            text += after + " # it's a [table]\n"
        text += key()
        text += draw(st.sampled_from(["", ".y"])) + "="
        value(0)
        text += draw(st.sampled_from(["\n", " # '\n", "\n\n"]))
    return text, lines


def paths_of(value, path=()):
    """Yield the path of every key and item."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in items:
        yield (*path, part)
        yield from paths_of(inner, (*path, part))


@settings(max_examples=60)
@given(texts())
def test_every_key_has_its_line(drawn):
    """The scan finds exactly the paths that ``tomllib`` reads, and each key in the line where it was written."""
    text, wanted = drawn
    found = lines_of(text)
    assert set(found) == set(paths_of(tomllib.loads(text)))
    assert {path[-1]: line for path, line in found.items() if path[-1] in wanted} == wanted


def test_tables_in_parts():
    """Arrays of tables count their tables, and a table has the line of the first key or header that names it."""
    text = "[[t]]\nu = 1\n[t.v]\nw = 2\n[[t]]\nu = 3\n[x.y]\n[x]\nz.q = 4\n"
    assert lines_of(text) == {
        ("t",): 1, ("t", 0): 1, ("t", 0, "u"): 2, ("t", 0, "v"): 3, ("t", 0, "v", "w"): 4,
        ("t", 1): 5, ("t", 1, "u"): 6, ("x",): 7, ("x", "y"): 7, ("x", "z"): 9, ("x", "z", "q"): 9,
    }  # fmt: skip


def test_what_is_missing_has_the_line_of_its_table():
    """A key that is not there has the line of the nearest table around it."""
    lines = lines_of("a = 1\n[b]\n")
    assert line_of(lines, ("b", "missing")) == 2
    assert line_of(lines, ("missing",)) is None
