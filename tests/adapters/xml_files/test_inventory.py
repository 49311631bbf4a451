"""Finding, naming and fingerprinting files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.adapters.xml_files.identity import fingerprint
from penstock.adapters.xml_files.inventory import find_files
from penstock.errors import SourceError


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_paths_keep_their_order_and_each_file_comes_once(tmp_path: Path, monkeypatch) -> None:
    """Files come in the order of the paths, however often a file is given, and by whatever path or link."""
    make(tmp_path, "base/n1.xml", "base/n3.xml", "new/n2.xml", "new/deep/n4.xml")
    (tmp_path / "link.xml").symlink_to("base/n1.xml")
    (tmp_path / "hard.xml").hardlink_to(tmp_path / "new/n2.xml")
    monkeypatch.chdir(tmp_path)
    given = ["new/**/*.xml", "base/*.xml", "base/n1.xml", "./base/../base/n3.xml", "link.xml", "hard.xml"]
    files = find_files(given)
    assert [file.name for file in files] == ["n2.xml", "n4.xml", "n1.xml", "n3.xml"]
    assert [Path(file.path).read_text() for file in files] == [
        *("new/n2.xml", "new/deep/n4.xml", "base/n1.xml", "base/n3.xml")
    ]


SERIES = [
    ["upd.xml", "upd1.xml", "upd9.xml", "upd10.xml", "upd100.xml"],
    ["pubmed24n0999.xml.gz", "pubmed24n1000.xml.gz", "pubmed25n0001.xml.gz"],
    ["a/p08.xml", "b/p9.xml", "a/p010.xml", "b/p11.xml"],
    ["2024-9-30.xml", "2024-12-1.xml", "2025-1-1.xml"],
    ["medline_2024.xml", "medline_2024_2.xml", "medline_2024_10.xml"],
    ["x/f7.xml", "y/f7.xml", "x/f7.xml.gz", "x/f07b.xml"],
    ["n99999999999999999999998.xml", "n99999999999999999999999.xml"],
]


@pytest.mark.parametrize("names", SERIES, ids=lambda names: names[0])
def test_a_glob_sorts_numbers_as_numbers(tmp_path: Path, names: list[str]) -> None:
    """The files of a glob come in the order of the numbers in their names; folders count last."""
    make(tmp_path, *names)
    found = find_files([f"{tmp_path}/**/*.*"])
    assert [Path(file.path).relative_to(tmp_path).as_posix() for file in found] == names
    backwards = [tmp_path / name for name in reversed(names)]
    assert [file.path for file in find_files(map(str, backwards))] == [str(path) for path in backwards]


def test_names_do_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    """Relative and absolute paths lead to the same names."""
    make(tmp_path, "a/x.xml", "b/x.xml", "b/y.xml")
    absolute = find_files([f"{tmp_path}/*/*.xml"])
    monkeypatch.chdir(tmp_path / "a")
    assert find_files(["x.xml", "../b/*.xml"]) == absolute
    assert [file.name for file in absolute] == ["a/x.xml", "b/x.xml", "y.xml"]


def test_home_and_names_with_brackets(tmp_path: Path, monkeypatch) -> None:
    """``~`` is the home folder, and an existing path with brackets is not read as a pattern."""
    make(tmp_path, "a[1].xml", "a1.xml")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [file.name for file in find_files(["~/a[1].xml"])] == ["a[1].xml"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing.xml", "nothing.xml does not exist (looked in "),
        ("*.gz", "*.gz matches no file (looked from "),
        ("f*", "f* matches no file"),
    ],
)
def test_a_pattern_without_a_file(tmp_path: Path, monkeypatch, pattern: str, message: str) -> None:
    """A pattern that matches no file is an error; a folder is not a file."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        find_files([pattern])
    assert message in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 100_000, 200_000, 131_072 + 57_345, 3_000_000])
def test_fingerprints_follow_the_content_not_the_time(tmp_path: Path, size: int) -> None:
    """A copy has the same fingerprint; another size, beginning or end changes it."""
    content = bytearray(os.urandom(size))
    path = tmp_path / "a"
    path.write_bytes(content)
    before = fingerprint(str(path))
    assert before.startswith(f"{size}-")
    os.utime(path, (1, 1))
    assert fingerprint(str(path)) == before
    path.write_bytes(content + b"x")
    assert fingerprint(str(path)) != before
    for place in {0, size // 2 if size < 150_000 else 65_536, size - 1} if size else set():
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        assert fingerprint(str(path)) != before


def test_explain_lists_the_files_in_their_order(tmp_path: Path) -> None:
    """``explain`` shows the order of the files; of many, the first eight and the last two."""
    make(tmp_path, *(f"n{number}.xml" for number in range(1, 16)))
    lines = IngestionPipeline(pubmed(tmp_path / "n*.xml")).explain().splitlines()
    listed = [line.split("/")[-1].strip() for line in lines[1:12]]
    assert listed == [*(f"n{number}.xml" for number in range(1, 9)), "... 5 more", "n14.xml", "n15.xml"]
    assert "does not exist" in IngestionPipeline(pubmed(tmp_path / "no.xml")).explain()
