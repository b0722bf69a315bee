"""A table of PostgreSQL passes the conformance kit that every store passes, and outlives its server's crash."""

from __future__ import annotations

import psycopg
import pytest

from infctl.secrets import Secret
from infctl.state.journal import Record
from infctl.state.remote.postgres import PostgresPlace
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import CHECKS, Check, sample
from tests.contract.servers import Server
from tests.testbed.postgres import Database
from tests.unit.state.words import refused

pytestmark = pytest.mark.xdist_group("postgres")


def place_in(database: Database, workspace: str = "default", password: str = "") -> PostgresPlace:
    secret = Secret(password or database.password)
    return PostgresPlace(database.url, secret, "infctl_state", "prod/chat", workspace)


def store_in(database: Database, workspace: str = "default", lease: float = 60.0) -> RemoteStore:
    return RemoteStore(place_in(database, workspace), workspace, Seal(), lease=lease)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_postgres_store(check: Check, database: Database) -> None:
    check(Server(lambda workspace, lease: store_in(database, workspace, lease)))


def test_a_crash_of_the_server_loses_nothing_that_was_acknowledged(database: Database) -> None:
    with store_in(database).lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.append((Record("s1", "begin"),))
        database.crash()
        assert [record.step for record in store_in(database).load().journal] == ["s1"]
        words = refused(lambda: lease.append((Record("s2", "begin"),)))  # on the connection that is gone
        assert "run the same command again: it picks up where this one stopped" in words
        lease.append((Record("s3", "begin"),))  # on a new one
    assert [record.step for record in store_in(database).load().journal] == ["s1", "s3"]


def test_an_epoch_never_comes_again(database: Database) -> None:
    place = place_in(database)
    first = place.write(b"a", "")
    assert place.erase(first)
    again = place.write(b"a", "")
    assert place.write(b"b", first) == "", "the head was removed and made again: its first epoch is nobody's"
    assert place.write(b"b", again) != ""


def test_a_wrong_password_and_a_missing_database_are_said(database: Database) -> None:
    words = refused(lambda: place_in(database, password="guess-what").read())
    assert "state-forbidden" in words
    assert "guess-what" not in words
    words = refused(lambda: place_in(database._replace(url=f"{database.url}x")).read())
    assert "no-such-place" in words


def test_who_may_only_read_reads(database: Database) -> None:
    with store_in(database).lock("ops", "apply") as lease:
        lease.commit(sample())
    with psycopg.connect(database.url, password=database.password, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS auditor")
        connection.execute("CREATE ROLE auditor LOGIN PASSWORD 'only-looking'")
        connection.execute("GRANT SELECT ON infctl_state TO auditor")
    seen = database._replace(url=database.url.replace("postgres@", "auditor@"), password="only-looking")
    assert store_in(seen).load().state is not None
    assert "state-forbidden" in refused(lambda: store_in(seen).lock("auditor", "apply"))
