"""The splitter compared with expat, which reports the byte offsets of all elements of a document."""

from __future__ import annotations

import pyexpat
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.xml_files.splitter import Piece, RecordSplitter
from penstock.errors import SourceError

ROOTS = {"Set": ("Rec", "Record", "Gone")}


def expected(document: bytes) -> list[tuple[str, bytes]]:
    """Return the names and bytes of the records that expat finds."""
    parser = pyexpat.ParserCreate()
    found: list[tuple[str, bytes]] = []
    depth = 0
    begin = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, begin
        depth += 1
        if depth == 2:
            begin = parser.CurrentByteIndex

    def end(name: str) -> None:
        nonlocal depth
        if depth == 2 and name in ROOTS["Set"]:
            at = parser.CurrentByteIndex
            if document.startswith(f"</{name}".encode(), at):
                last = document.index(b">", at)
            else:  # an empty-element tag
                last = _end_of_empty_tag(document, begin)
            found.append((name, document[begin : last + 1]))
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(document, True)
    return found


def _end_of_empty_tag(document: bytes, begin: int) -> int:
    quote = 0
    for at in range(begin, len(document)):
        byte = document[at]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == ord(">"):
            return at
    raise AssertionError


def split(chunks: list[bytes], *, nested: bool = False, **options: int) -> list[Piece]:
    """Return all records of ``chunks``; an error of the stream is raised."""
    splitter = RecordSplitter(ROOTS, nested=nested, **options)
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)]
    splitter.close()
    return pieces


def split_until_error(chunks: list[bytes], *, nested: bool = False) -> tuple[list[Piece], str]:
    splitter = RecordSplitter(ROOTS, nested=nested)
    pieces: list[Piece] = []
    try:
        for chunk in chunks:
            pieces += splitter.feed(chunk)
        splitter.close()
    except SourceError as error:
        return pieces, re.sub(
            r"b['\"].*['\"]", "…", str(error)
        )  # the length of the quotation depends on the chunks
    return pieces, ""


def cut(document: bytes, at: list[int] | str) -> list[bytes]:
    if isinstance(at, str):
        return [document[a : a + 1] for a in range(len(document))]
    places = sorted({place % (len(document) + 1) for place in at})
    bounds = [0, *places, len(document)]
    return [document[a:b] for a, b in pairwise(bounds)]


NASTY = [
    "</Rec>",
    "<Rec>",
    "</Set>",
    "<Rec a='1'/>",
    "<Record>",
    "<Gone/>",
    "</Record >",
    "]]",
    "--",
    "?",
    ">",
]
text = st.lists(
    st.sampled_from(["a", "é", " ", "\n", "!", "?", "&lt;", "&#62;", ">", "'", '"', "]]"]), max_size=6
)
plain = text.map("".join).map(lambda s: s.replace("]]>", "]] >"))
inside = st.lists(st.sampled_from([*NASTY, "x", "!", "é", "\n"]), max_size=4).map("".join)
comment = inside.map(lambda s: "<!--" + s.replace("--", "- ").replace("--", "- ").rstrip("-") + "-->")
cdata = inside.map(lambda s: "<![CDATA[" + s.replace("]]>", "]]") + "]]>")
instruction = inside.map(lambda s: "<?pi " + s.replace("?>", "? ") + "?>")
value = st.sampled_from(["", "1", ">", "/>", "a>b", "&lt;Rec>", "it's", "!", "?", "é"])
attributes = st.dictionaries(st.sampled_from(["a", "b:c", "Version"]), value, max_size=2).map(
    lambda d: "".join(f' {k}="{v}"' for k, v in d.items())
)
space = st.sampled_from(["", " ", "\n", "\t "])


def element(name: str, content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    full = st.builds("<{0}{1}{2}>{3}</{0}{4}>".format, st.just(name), attributes, space, content, space)
    empty = st.builds("<{0}{1}{2}/>".format, st.just(name), attributes, space)
    return st.one_of(full, full, empty)


def contents(*names: str) -> st.SearchStrategy[str]:
    leaf = st.one_of(plain, comment, cdata, instruction)
    inner = st.one_of(leaf, *(element(name, leaf) for name in names))
    return st.lists(inner, max_size=4).map("".join)


def document(record: st.SearchStrategy[str], between: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    prolog = st.sampled_from(
        [
            "",
            '<?xml version="1.0" encoding="utf-8"?>\n',
            "<!-- <Set> --><?pi <Set>?>",
            "<!DOCTYPE Set>",
            '<!DOCTYPE Set PUBLIC "-//X//DTD > [" "http://localhost/x.dtd">\n',
            '<!DOCTYPE Set [<!ENTITY a "<Rec>]>"> <!-- don\'t ]> --> <?pi ]>?> <!ELEMENT Rec ANY>]>',
        ]
    )
    body = st.lists(st.one_of(record, record, between), max_size=8).map("".join)
    root = attributes.map(lambda a: "<Set" + a.replace("b:c", "xmlns:b") + ">")
    full = st.builds(
        "{0}{1}{2}</Set>{3}".format, prolog, root, body, st.sampled_from(["", "\n", "<!-- e -->"])
    )
    return full.map(str.encode)


records = st.one_of(*(element(name, contents("i", "Recs", "Sets")) for name in ROOTS["Set"])).map(
    lambda s: s.replace("b:c", "bc")
)
flat_documents = document(records, st.one_of(space, comment, instruction))
nested_records = st.one_of(
    *(element(name, contents("i", "Rec", "Record", "Set")) for name in ROOTS["Set"])
).map(lambda s: s.replace("b:c", "bc"))
foreign = element("Other", contents("Rec", "Other", "i")).map(lambda s: s.replace("b:c", "bc"))
nested_documents = document(nested_records, st.one_of(space, comment, instruction, plain, cdata, foreign))
cuts = st.one_of(
    st.lists(st.integers(0, 10_000), max_size=12),
    st.just("every byte by itself"),
)


def well_formed(document: bytes) -> bool:
    try:
        pyexpat.ParserCreate().Parse(document, True)
    except pyexpat.ExpatError:
        return False
    return True


@given(flat_documents.filter(well_formed), cuts)
def test_flat_sets_split_as_expat_reads_them(document: bytes, at: list[int] | str) -> None:
    """The records equal those of a whole parse, byte for byte, whatever the chunks."""
    pieces = split(cut(document, at))
    assert [(piece.name, piece.data) for piece in pieces] == expected(document)
    for piece in pieces:
        assert not piece.fault
        assert document[piece.offset :].startswith(piece.data)


@given(nested_documents.filter(well_formed), cuts)
def test_nested_sets_split_as_expat_reads_them(document: bytes, at: list[int] | str) -> None:
    """Elements of the same name inside records, and other children of the root, do not change the result."""
    pieces = split(cut(document, at), nested=True)
    assert [(piece.name, piece.data) for piece in pieces] == expected(document)


@given(flat_documents.filter(well_formed), cuts, st.integers(0, 10_000))
def test_a_truncated_stream_returns_its_whole_records(document: bytes, at: list[int] | str, end: int) -> None:
    """Every record before the cut is returned, then the error is raised."""
    whole = split([document])
    pieces, error = split_until_error(cut(document[: end % len(document)], at))
    assert pieces == whole[: len(pieces)]
    complete = [piece for piece in whole if piece.offset + len(piece.data) <= end % len(document)]
    assert len(pieces) >= len([piece for piece in complete if not piece.fault])
    assert (
        error or document[end % len(document) :].strip() in (b"", b"<!-- e -->") or _in_epilog(document, end)
    )


def _in_epilog(document: bytes, end: int) -> bool:
    return document[: end % len(document)].rstrip().endswith(b"</Set>")


@given(flat_documents, st.binary(max_size=40), st.integers(0, 10_000), cuts)
def test_damage_never_crashes_and_never_depends_on_chunks(
    document: bytes, junk: bytes, place: int, at: list[int] | str
) -> None:
    """With bytes inserted anywhere, the records and the error do not depend on the chunks."""
    place %= len(document) + 1
    damaged = document[:place] + junk + document[place:]
    assert split_until_error(cut(damaged, at)) == split_until_error([damaged])


def test_a_missing_end_tag_costs_one_record() -> None:
    """In a flat set the next start tag begins a new record; only the record before it is bad."""
    pieces = split([b"<Set><Rec>1</Rec><Rec>2<Rec>3</Rec><Record>4</Set>"])
    assert [(piece.data, bool(piece.fault)) for piece in pieces] == [
        (b"<Rec>1</Rec>", False),
        (b"<Rec>2", True),
        (b"<Rec>3</Rec>", False),
        (b"<Record>4", True),
    ]


def test_content_that_is_not_a_record_is_reported() -> None:
    """Text and unknown elements between records become bad records; nothing is skipped silently."""
    pieces = split([b"<Set>text<Rec/><Other><x/></Other> <Rec/></Rec></Set>"])
    assert [(piece.data, bool(piece.fault)) for piece in pieces] == [
        (b"text", True),
        (b"<Rec/>", False),
        (b"<Other><x/></Other>", True),
        (b"<Rec/>", False),
        (b"</Rec>", True),
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_record_that_is_too_large_is_not_kept(size: int) -> None:
    """Only its beginning is kept; the records around it are whole."""
    document = b"<Set><Rec>1</Rec><Rec id='2'>" + b"x" * 10_000 + b"</Rec><Rec>3</Rec></Set>"
    splitter = RecordSplitter(ROOTS, max_record_bytes=500)
    pieces: list[Piece] = []
    largest = 0
    for at in range(0, len(document), size):
        pieces += splitter.feed(document[at : at + size])
        largest = max(largest, len(splitter._scan.buffer))
    splitter.close()
    assert largest <= 500 + size
    assert [piece.data[:13] for piece in pieces] == [b"<Rec>1</Rec>", b"<Rec id='2'>x", b"<Rec>3</Rec>"]
    assert [bool(piece.fault) for piece in pieces] == [False, True, False]
    assert len(pieces[1].data) == 500
    assert "10018 bytes" in pieces[1].fault


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "contains no XML element"),
        (b" \n ", "contains no XML element"),
        (b"PMID- 1", "is not XML: it begins with b'PMID- 1'"),
        (b"\x00\x01", "is not XML"),
        (b"<>", "is not XML"),
        (b"<!doctype html><html>", "has the root element <html>, not <Set>: check"),
        (b"<!ELEMENT a>", "is not XML"),
        (b"<?xml version='1.0'?><Other/>", "has the root element <Other>"),
        (b"<!DOCTYPE Set [ <!ENTITY", "ends within its prolog"),
        (b"<Set a='1", "ends within its prolog"),
        (b"<Set <Rec/></Set>", "the start tag of <Set> is broken"),
        (b"<Set>", "ends before </Set>"),
        (
            b"<Set><Rec>1</Rec><Rec>",
            r"ends within the record that begins at byte 17.*\(1 records before it\)",
        ),
        (b"<Set><!-- ", "ends before </Set>"),
        (b"<Set/><Other/>", "continues after </Set> at byte 6"),
        (b"<Set/><?xml version='1.0'?>", "ends within its prolog"),
        (b"<Set/><Set>", "is truncated: it ends before </Set>"),
        (b"<Rec/><Rec>", "is truncated: it ends within the record that begins at byte 6"),
        (b"<Set></Set>x", "continues after </Set> at byte 11"),
        (b"<Set></Set><!-- ", "ends in the middle of the markup after </Set>"),
        (b"<Set></Set><", "ends in the middle of the markup after </Set>"),
        (b"<!--" + b"x" * 10 + b"-->" + b"<Set a='" + b"x" * (1024 * 1024 + 10), "prolog longer than 1 MiB"),
    ],
)
def test_streams_that_are_not_a_set(document: bytes, message: str) -> None:
    """The error says what is wrong, and where."""
    with pytest.raises(SourceError, match=message):
        split([document])


@pytest.mark.parametrize("document", [b"<Set/>", b"<Set></Set>", b"\n<Set>\n</Set >\n", b"<Set a='>'/>"])
def test_an_empty_set_has_no_records(document: bytes) -> None:
    """An empty set is not an error."""
    assert split([document]) == []


def test_namespaces_of_the_root_are_kept() -> None:
    """A record has the prefixes that the root of its own set declares, because it lacks them on its own."""
    first = b"<Set xmlns:a='u:1' xmlns='u:0' xmlns:b = \"u:2&amp;&quot;\"><Rec/></Set>"
    found = split([first + b"<Set xmlns:a='u:3'><Rec/></Set><Set><Rec/></Set>"])
    assert [piece.namespaces for piece in found] == [{"a": "u:1", "b": 'u:2&"'}, {"a": "u:3"}, {}]


PARTS = {
    b"<Set><Rec>1</Rec><Gone/></Set>": [b"<Rec>1</Rec>", b"<Gone/>"],
    b"<?xml version='1.0'?><!DOCTYPE Set SYSTEM 's.dtd'>\n<Set>\n<Record a='>'>2</Record></Set>\n": [
        b"<Record a='>'>2</Record>"
    ],
    b"<Rec>3<![CDATA[</Rec>]]></Rec>\n<Gone>4</Gone>": [b"<Rec>3<![CDATA[</Rec>]]></Rec>", b"<Gone>4</Gone>"],
    b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?><Set/>": [],
    b"<!-- <Rec> --><?note x?>": [],
    b"<Rec>5<Record>6</Record>": [b"<Rec>5", b"<Record>6</Record>"],  # an end tag is missing
}


@given(st.lists(st.sampled_from(list(PARTS)), min_size=1, max_size=6), st.integers(1, 40))
def test_several_sets_and_bare_records_in_one_file(parts: list[bytes], size: int) -> None:
    """Sets one after the other, and records without a set, are split like files of their own."""
    document = b"".join([b"<Set/>", *parts, b"<Set/>"])
    chunks = [document[at : at + size] for at in range(0, len(document), size)]
    assert [piece.data for piece in split(chunks)] == [data for part in parts for data in PARTS[part]]


def test_sets_of_several_encodings_in_one_file() -> None:
    """Another encoding in the middle is an error, not wrong text; another name of the same one is none."""
    first = b"<?xml version='1.0' encoding='latin1'?><Set><Rec/></Set>"
    assert len(split([first + b"<?xml version='1.0' encoding='ISO-8859-1'?><Set><Rec/></Set>"])) == 2
    pieces, error = split_until_error([first + b"<?xml version='1.0' encoding='utf-8'?><Set><Rec/></Set>"])
    assert len(pieces) == 1
    assert "changes its encoding from iso8859-1 to utf-8 before byte 99" in error


def test_the_error_is_raised_again() -> None:
    """After an error of the stream, every call raises it."""
    splitter = RecordSplitter(ROOTS)
    assert splitter.feed(b"<Set><Rec/></Set>rest") == [Piece("Rec", b"<Rec/>", 5)]
    for _ in range(2):
        with pytest.raises(SourceError):
            splitter.feed(b"")
    with pytest.raises(SourceError):
        splitter.close()
