"""Paths and connection strings: one decision for ledgers and outputs, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from penstock.errors import GraphError
from penstock.ledger import ledger_from
from penstock.redact import redact
from penstock.sinks import sink_from
from penstock.sinks.databases.urls import without_password
from penstock.system.places import connection_url, file_path

SECRETS = st.text("abcXYZ019!$%&'\\/:;=?@_~ü ", min_size=4, max_size=12).map(lambda tail: f"s3cr{tail}et")


def keywords(secret: str) -> str:
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    return f"host=db.example port=5433 user='me@x' password='{escaped}' dbname=the\\ db connect_timeout=3"


FORMS = {
    "a URL": lambda secret: f"postgresql://me:{quote(secret, safe='')}@db.example/x",
    "a URL whose password is not encoded": lambda secret: f"postgresql://me:{secret}@db.example/x",
    "parameters of a URL": lambda secret: f"postgresql:///x?host=db&password={quote(secret, safe='')}",
    "keywords": keywords,
    "keywords without quotes": lambda secret: f"service=x password={quote(secret)}",
    "a broken quote": lambda secret: f"host=db password='{secret}",
    "a password only": lambda secret: f"password = {secret}",
    "semicolons": lambda secret: f"Server=db;User Id=me;Password={secret};",
    "short names": lambda secret: f"srv=db;uid=me;pw={secret}",
    "no scheme": lambda secret: f"me:{secret}@db.example/x",
    "one slash": lambda secret: f"postgresql:/me:{secret}@db.example/x",
    "no slash": lambda secret: f"postgres:me:{secret}@db/x",
    "another scheme": lambda secret: f"jdbc:postgresql://db/x?user=me&password={quote(secret)}",
    "capitals": lambda secret: f"POSTGRESQL://me:{quote(secret, safe='')}@db/x",
}


@given(st.sampled_from(sorted(FORMS)), SECRETS)
def test_a_connection_string_is_never_a_path_and_never_shown(form: str, secret: str) -> None:
    """In any form it is taken as the URL of a database, or refused; neither shows the secret."""
    text = FORMS[form](secret)
    shown: list[str] = []
    for take in (ledger_from, sink_from):
        try:
            taken = take(text)
        except GraphError as error:
            shown.append(str(error))
        else:
            shown += [taken.describe() if hasattr(taken, "describe") else taken.place, repr(taken)]
    with pytest.raises(GraphError) as caught:
        file_path(text)
    shown.append(str(caught.value))
    assert [words for words in shown if secret in words or quote(secret, safe="") in words] == []


@given(SECRETS)
def test_keywords_become_the_url_that_means_the_same(secret: str) -> None:
    """To libpq, the URL means the same as the keywords: it reads the same parameters."""
    text = keywords(secret)
    url = connection_url(text) or ""
    assert conninfo_to_dict(url) == conninfo_to_dict(text)
    assert quote(secret, safe="") not in without_password(url)


def test_keywords_without_a_host_keep_what_they_have() -> None:
    """A service, a socket, several hosts and the options of a sink become parameters of the URL."""
    assert connection_url("service=pubmed") == "postgresql:///?service=pubmed"
    url = connection_url("host=/run/pg dbname=x table=articles user=me")
    assert url == "postgresql:///x?host=%2Frun%2Fpg&table=articles&user=me"
    several = "host=a,b port=1,2 password='' user=x"
    assert conninfo_to_dict(connection_url(several) or "") == conninfo_to_dict(several) | {"password": ""}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "a.jsonl",
            "a b/c.db",
            "year=2024/out.jsonl",
            "a@b.jsonl",
            "a:b.jsonl",
            "C:\\dir\\a@b.db",
            "/x:y@z",
        ),
        *("./host=a.db", "../me:pw@x.db", "~/a.db", "out/", "hosts.db", "a=b"),
    ],
)
def test_a_path_is_a_path(path: str) -> None:
    """A path with unusual characters is no connection string, nor is anything that begins as a path."""
    assert connection_url(path) is None
    assert connection_url(Path(path)) is None or path.startswith("./")


def test_home_folders(tmp_path: Path, monkeypatch) -> None:
    """``~`` is the home folder in every output and ledger; an unknown user is refused with a sentence."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for target in ("~/o.jsonl", "~/o.parquet", "~/o.db.jsonl.gz"):
        assert sink_from(target).path == tmp_path / target[2:]
        assert sink_from(Path(target)).path == tmp_path / target[2:]
    for url in ("sqlite:///~/o.db", "duckdb:///~/o.db?table=x"):
        assert sink_from(url).path == tmp_path / "o.db"
    for ledger in ("~/l.db", Path("~/l.db"), "sqlite:///~/l.db"):
        assert ledger_from(ledger).path == tmp_path / "l.db"
    for take in (ledger_from, sink_from):
        with pytest.raises(
            GraphError, match=r"no user is called nobody-here; for a file of that name write \./"
        ):
            take("~nobody-here/o.jsonl")


def test_what_is_refused_would_be_redacted() -> None:
    """A text with a secret name and a value is refused by the same rule by which it is hidden in messages."""
    text = "out token=abcdef.jsonl"
    assert redact(text) != text
    with pytest.raises(GraphError, match="looks like a connection string"):
        connection_url(text)
