"""Arrays, as PostgreSQL reads them."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.ledger.postgres.text import array, hash_of, hashes, hold, pack, short, shortened


@pytest.fixture(scope="module")
def db(postgres_server):
    with psycopg.connect(postgres_server.database(), autocommit=True) as connection:
        yield connection


texts = st.text(alphabet=st.sampled_from('a{},"\\\1\t\n é𝄞NUL'), max_size=6) | st.just("NULL")


@given(st.lists(st.none() | texts, max_size=5))
def test_arrays_of_texts(db, values):
    """Whatever they hold, and without any."""
    assert db.execute("SELECT %s::text[]", (array(values),)).fetchone() == (values,)


SHA = "0123456789abcdef" * 4
hexadecimal = st.sampled_from([SHA, SHA.upper(), SHA[:-1] + " ", SHA[:-1] + "é", SHA[:-1] + "g", SHA[:-2]])


@given(st.lists(st.none() | hexadecimal | texts, max_size=4) | st.lists(st.just(SHA), max_size=3))
def test_arrays_of_hashes(db, values):
    """SHA-256 in half the space, and anything else as it is."""
    (packed,) = db.execute("SELECT %s::bytea[]", (hashes(values),)).fetchone()
    assert packed == [None if value is None else pack(value) for value in values]
    assert [None if one is None else hash_of(one) for one in packed] == values


@given(
    st.lists(
        st.text(alphabet="a\0\1é\ud800", max_size=4) | st.integers(490, 2100).map("x".__mul__), max_size=4
    )
)
def test_many_are_shortened_as_each_is(values):
    """The quick way, for what need not be changed, changes nothing else either."""
    assert list(shortened(values)) == [short(value) for value in values]
    assert all(hold(value) is not None for value in values)
