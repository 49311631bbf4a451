"""Expressions that choose documents."""

from __future__ import annotations

from typing import Annotated

import pytest

from penstock.document import Document
from penstock.documents.expression import Expression
from penstock.errors import GraphError


class Heading:
    name: str
    major: bool


class Columns:
    year: int
    score: float
    open: bool
    doi: str
    tags: list[str]
    mesh: list[Heading]
    words: Annotated[int, lambda document: len(document.content.split())]


FULL = Document(
    doc_id="a", source="test", title="The Title", content="two words",
    metadata={
        "year": 2015, "score": 0.5, "open": True, "doi": "10.1/x", "tags": ["red", "blue"],
        "mesh": [{"name": "Neoplasms", "major": True}, {"name": "Mice", "major": False}],
    },
)  # fmt: skip
BARE = Document(doc_id="b", source="test", metadata={"year": "no number", "mesh": None})
GONE = Document(doc_id="c", source="test", deleted=True)

TRUE_OF = {
    'year >= 2015 and "Neoplasms" in mesh': "ac",
    "2010 < year <= 2015": "ac",
    "year < 2015": "c",
    "year != 2015": "c",
    "not year == 2015": "bc",
    "year is None": "bc",
    "year is not None and score > -1": "ac",
    '"Neoplasms" not in mesh': "bc",
    '"Neo" in mesh': "c",
    '"red" in tags or doc_id == "b"': "abc",
    '"Titl" in title and startswith(lower(title), "the")': "ac",
    'contains(doi, "10.") and endswith(doi, "x")': "ac",
    "len(mesh) == 2": "ac",
    "len(tags) == 0": "bc",
    "open": "ac",
    "open  # a comment\n and year > 2000": "ac",
    "open == True": "ac",
    "words == 2 and not deleted": "a",
    "deleted": "c",
    "True": "abc",
}


def test_what_passes():
    """Missing values, and values of another type, compare false; tombstones pass unless ``deleted`` is named."""
    for text, passes in TRUE_OF.items():
        accepts = Expression(text, Columns)
        assert "".join(one.doc_id for one in (FULL, BARE, GONE) if accepts(one)) == passes, text


REFUSED = {
    "yaer > 2000": r"there is no column 'yaer': did you mean year",
    "qqqq": r"there is no column 'qqqq'; the columns are: .*doc_id, .*mesh",
    "metadata": "there is no column 'metadata'",
    'year > "2000"': r"year is of the type int, and '2000' is not",
    "2000 == doi": "doi is of the type text, and 2000 is not",
    'mesh == "Mice"': "ask what is in it",
    '"a" in year': r"year is one value \(int\)",
    "5 in tags": "write '5' with quotes",
    "doi == None": "'is None'",
    "year is 5": "'is None'",
    "title.upper() == 'A'": "there is no function 'title.upper'",
    "doi.x == 'a'": r"'doi\.x' is not possible here \(Attribute\)",
    "tags[0] == 'a'": "Subscript",
    "year + 1 > 3": "BinOp",
    "[x for x in tags]": "ListComp",
    "(lambda: 1)()": "there is no function",
    "__import__('os')": "there is no function '__import__'",
    "open('x')": "there is no function 'open'",
    "len == 1": "there is no column 'len'",
    "len(tags, mesh)": "len takes 1 value",
    "lower(*tags) == 'a'": r"Starred",
    "f'{year}' == '1'": "JoinedStr",
    "doi == b'a'": "b'a' is no text, number",
    "title == 5": r"character 10: title is a text, and 5 is a number",
    "deleted == 1": "deleted is True or False, and 1 is a number",
    "year < title": "character 8: year is a number, and title is a text",
    '1 < "a"': "1 is a number, and 'a' is a text",
    'len(mesh) > "3"': r"len\(mesh\) is a number, and '3' is a text",
    "mesh == tags": "mesh is a list",
    'lower(year) == "a"': "character 7: lower takes a text, and year is a number",
    'startswith(tags, "a")': "startswith takes a text, and tags is a list",
    'strtswith(title, "a")': "no function 'strtswith': did you mean startswith",
    "-title == 3": "character 2: - takes a number, and title is a text",
    "year in tags": "character 1: 'in tags' takes a text, and year is a number",
    '"x" in 5': "5 is a number: compare it with ==",
    "year >": "invalid syntax",
    "year = 5": "Right: 'year >= 2015",
    "year := 5": "NamedExpr",
    "year) == (5": "unmatched '\\)'. Right: 'year >= 2015",
    "year, doi": "Tuple",
    "year; doi": "Right: 'year >= 2015",
    "": "Right: 'year >= 2015",
    "(" * 5000: "Right: 'year >= 2015",
    "not " * 3000 + "open": "where=",
}


def test_what_is_refused():
    """Anything else is refused before a document is read; the message says what to write."""
    for text, says in REFUSED.items():
        with pytest.raises(GraphError, match=says):
            Expression(text, Columns)


PLACES = {
    "yaer > 2000": "character 1: there is no column 'yaer': did you mean year",
    '  "\u00e9" in title and ttle == "a" ': "character 18: there is no column 'ttle': did you mean title",
    'year > 3 and\n  titel == "a"': "line 2, character 3: there is no column 'titel': did you mean title",
    "year > 3 and": "character 13: invalid syntax",
    "year > 3\nand > doi": "line 2, character 5: invalid syntax",
}


def test_a_refusal_says_where():
    """It names the line, if there are several, and the character, both from 1; blanks around do not count."""
    for text, says in PLACES.items():
        with pytest.raises(GraphError, match=f"test_expression.py:[0-9]+: {says}"):
            Expression(text, Columns)


@pytest.mark.parametrize("schema", [None, Columns])
def test_names_without_a_schema(schema):
    """The names of every document are known for every adapter."""
    assert Expression('source == "test" and version == ""', schema)(FULL)
