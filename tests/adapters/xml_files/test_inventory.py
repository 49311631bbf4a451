"""Finding, naming and fingerprinting files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.adapters.xml_files.inventory import find_files, fingerprint
from penstock.errors import SourceError


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_paths_and_globs_each_file_once_sorted_by_name(tmp_path: Path, monkeypatch) -> None:
    """Each file is found once, however often and by whatever path it is given; a series is sorted by number."""
    make(tmp_path, "base/n1.xml", "base/n3.xml", "new/n2.xml", "new/deep/n4.xml")
    (tmp_path / "link.xml").symlink_to("base/n1.xml")
    monkeypatch.chdir(tmp_path)
    files = find_files(["new/**/*.xml", "base/*.xml", "base/n1.xml", "./base/../base/n3.xml", "link.xml"])
    assert [file.name for file in files] == ["n1.xml", "n2.xml", "n3.xml", "n4.xml"]
    assert [Path(file.path).read_text() for file in files] == [
        *("base/n1.xml", "new/n2.xml", "base/n3.xml", "new/deep/n4.xml")
    ]


def test_names_do_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    """Relative and absolute paths lead to the same names."""
    make(tmp_path, "a/x.xml", "b/x.xml", "b/y.xml")
    absolute = find_files([f"{tmp_path}/*/*.xml"])
    monkeypatch.chdir(tmp_path / "a")
    assert find_files(["../b/*.xml", "x.xml"]) == absolute
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
