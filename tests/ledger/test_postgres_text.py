"""Literals of arrays for PostgreSQL, and shortened texts."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.postgres.text import array, escape, hashes, pack, short, shortened, unpack


@pytest.fixture(scope="module")
def db(postgres_server):
    with psycopg.connect(postgres_server.database(), autocommit=True) as connection:
        yield connection


texts = st.text(alphabet=st.sampled_from('a{},"\\\1\t\n é𝄞NUL'), max_size=6) | st.just("NULL")


@given(st.lists(st.none() | texts, max_size=5))
def test_arrays_of_texts(db, values):
    """PostgreSQL reads any array of texts as it was given."""
    assert db.execute("SELECT %s::text[]", (array(values),)).fetchone() == (values,)


SHA = "0123456789abcdef" * 4
hexadecimal = st.sampled_from([SHA, SHA.upper(), SHA[:-1] + " ", SHA[:-1] + "é", SHA[:-1] + "g", SHA[:-2]])


@given(st.lists(st.none() | hexadecimal | texts, max_size=4) | st.lists(st.just(SHA), max_size=3))
def test_arrays_of_hashes(db, values):
    """PostgreSQL reads an array of hashes as what ``pack`` returns, and ``unpack`` undoes ``pack``."""
    (packed,) = db.execute("SELECT %s::bytea[]", (hashes(values),)).fetchone()
    assert packed == [None if value is None else pack(value) for value in values]
    assert [None if one is None else unpack(one) for one in packed] == values


@given(
    st.lists(
        st.text(alphabet="a\0\1é\ud800", max_size=4) | st.integers(490, 2100).map("x".__mul__), max_size=4
    )
)
def test_many_are_shortened_as_each_is(values):
    """``shortened`` returns the same as ``short`` for each text."""
    assert list(shortened(values)) == [short(value) for value in values]
    assert all(escape(value) is not None for value in values)
