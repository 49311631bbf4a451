"""The exceptions of Penstock: they can be sent to other processes, and their texts help."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from penstock import errors
from penstock.runtime.failures import text_of
from penstock.runtime.policy import is_retryable
from penstock.testing.exploring import RaceFound
from penstock.testing.laws import LawViolation

OTHERS = {
    "CircuitOpen": errors.CircuitOpen(3, 1.5),
    "UnwrapError": errors.UnwrapError({"code": 5}),
    "DocumentError": errors.DocumentError("no title", retryable=True),
    "MissingExtra": errors.MissingExtra("reading Parquet", "parquet"),
    "LawViolation": LawViolation("demand", "too many", n=3),
    "RaceFound": RaceFound(1, {2: 3}, "lost"),
}


@pytest.mark.parametrize("name", [*errors.__all__, "LawViolation", "RaceFound"])
def test_errors_can_be_pickled(name: str) -> None:
    """A copy has the same class, text, attributes and notes."""
    error = OTHERS.get(name) or getattr(errors, name)("what happened")
    error.add_note("penstock: in map")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)
    assert vars(copy) == vars(error)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({}, "pip install 'penstock[x]'"),
        ({"INSTALLER": "uv\n"}, "uv pip install 'penstock[x]'"),
        (
            {"direct_url.json": '{"url": "file:///a%20b/p", "dir_info": {"editable": true}}'},
            "pip install -e '/a b/p[x]'",
        ),
        ({"direct_url.json": '{"url": "file:///p", "dir_info": {}}'}, "pip install '/p[x]'"),
        (
            {"direct_url.json": '{"url": "https://h/r.git", "vcs_info": {"vcs": "git"}}'},
            "pip install 'penstock[x] @ git+https://h/r.git'",
        ),
        (
            {"direct_url.json": '{"url": "file:///p.whl", "archive_info": {}}'},
            "pip install 'penstock[x] @ file:///p.whl'",
        ),
    ],
)
def test_the_command_for_an_extra_fits_the_installation(
    monkeypatch, files: dict[str, str], command: str
) -> None:
    """A missing extra is installed from where Penstock came: an index, a folder, a repository or a wheel."""
    installed = SimpleNamespace(read_text=files.get)
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: installed)
    assert errors.install_command("x") == command


def test_the_text_of_an_error() -> None:
    """A group names the errors in it; an error without a text is its type; a group of timeouts may be retried."""
    lost, timeout = ConnectionError("peer went away"), TimeoutError()
    group = ExceptionGroup("unhandled errors", [lost, ExceptionGroup("", [timeout])])
    assert text_of(group) == "ConnectionError: peer went away; TimeoutError"
    assert is_retryable(group)
    assert not is_retryable(ExceptionGroup("", [lost, ValueError("a")]))
