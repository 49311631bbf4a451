"""Text that looks like a secret is hidden; ordinary words are not changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.redact import redact, redact_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:s3cret@db:5432/x", "postgresql://***@db:5432/x"),
        ("at https://ghp_token@host/a?b=1", "at https://***@host/a?b=1"),
        ("postgresql://me:p@ss:w@db/x", "postgresql://***@db/x"),
        ("GET https://h/a?api_key=s3cret&term=x", "GET https://h/a?api_key=***&term=x"),
        ("https://b.s3/x?X-Amz-Signature=s3cret&y=1", "https://b.s3/x?X-Amz-Signature=***&y=1"),
        ("host=db user=me password=s3cret dbname=x", "host=db user=me password=*** dbname=x"),
        ("host=db password='s3 cret' dbname=x", "host=db password=*** dbname=x"),
        ("{'headers': {'Authorization': 'Bearer abc.def-s3cret'}}", "{'headers': {'Authorization': '***'}}"),
        ('{"token": "s3cret", "n": 1}', '{"token": ***, "n": 1}'),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: ***"),
        ("sent Bearer s3cret-s3cret to it", "sent Bearer *** to it"),
        ("Server=db;Uid=me;Pw=s3cret;", "Server=db;Uid=me;Pw=***;"),
        ("db_pass = 's3 cret' x", "db_pass = *** x"),
        ('{"pass": "s3cret", "n": 1}', '{"pass": ***, "n": 1}'),
        ("https://me%3As3cret%40host/a", "https://***%40host/a"),
        ("?next=https%3A%2F%2Fme%3As3cret%40host%2Fa&n=1", "?next=https%3A%2F%2F***%40host%2Fa&n=1"),
        ("?next=https%3a%2f%2fme:s3cret@host/a", "?next=https%3a%2f%2f***@host/a"),
    ],
)
def test_a_secret_is_hidden(text: str, shown: str) -> None:
    """Secrets in URLs, parameters, keywords, fields and headers are replaced by stars."""
    assert redact(text) == shown
    assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "record a.xml#3 cannot be parsed as XML: Opening and ending tag mismatch: i line 1",
        "the tokenizer: a tokens count of 3",
        "write to a@b.org, or see https://host/path?page=2",
        "author: Smith; keywords: signatures, passwords",
        'File "/a/b.py", line 3, in password_of',
        "first pass: 3 records; by-pass, and the compass = north",
    ],
)
def test_ordinary_words_are_not_changed(text: str) -> None:
    """Names of secrets in prose, mail addresses, and URLs without a secret are not changed."""
    assert redact(text) == text


@given(st.text())
def test_redacting_twice_changes_nothing(text: str) -> None:
    """Redacted text contains no further secrets."""
    assert redact(redact(text)) == redact(text)


def test_parameters_are_redacted_and_shared() -> None:
    """Values under secret names are hidden at any depth; values without secrets are not copied."""
    asked = {"url": "https://a:b@c/d", "deep": [{"api_key": "k", "page": 2}], "password": None}
    shown = {"url": "https://***@c/d", "deep": [{"api_key": "***", "page": 2}], "password": None}
    assert redact_json(asked) == shown
    plain = {"paths": ["a.xml"], "n": (1, 2)}
    assert redact_json(plain) is plain
