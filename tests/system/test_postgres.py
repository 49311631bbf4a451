"""Settings for connections to PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from penstock.system import end_with_client, postgres_parameters


def test_a_silent_server_is_noticed(monkeypatch):
    """Connecting and waiting have limits; the URL and the environment override them."""
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    usual = postgres_parameters("postgresql://me@h/d")
    assert (
        usual.items() >= {"host": "h", "user": "me", "connect_timeout": "10", "keepalives_idle": "30"}.items()
    )
    said = postgres_parameters("postgresql://h/d?connect_timeout=3&application_name=x")
    assert (said["connect_timeout"], said["application_name"]) == ("3", "x")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
    assert "connect_timeout" not in postgres_parameters("postgresql://h/d")
    with pytest.raises(psycopg.ProgrammingError):
        postgres_parameters("postgresql://h/d?unknown=1")


def test_libpq_knows_the_parameters(postgres_server):
    """All of our parameters are known to libpq."""
    with psycopg.connect(**postgres_parameters(postgres_server.database())) as db:
        assert db.info.get_parameters()["tcp_user_timeout"] == "60000"


def test_a_server_that_cannot_see_a_client_die(postgres_server, monkeypatch):
    """A server without the setting is used all the same."""
    with psycopg.connect(postgres_server.database(), autocommit=True) as db:
        end_with_client(db)
        assert db.execute("SHOW client_connection_check_interval").fetchone() == ("1s",)
        execute = db.execute
        monkeypatch.setattr(db, "execute", lambda statement: execute(statement.replace("client", "no")))
        end_with_client(db)
        assert execute("SELECT 1").fetchone() == (1,)
