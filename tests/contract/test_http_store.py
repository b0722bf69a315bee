"""A server that speaks Terraform's protocol passes the conformance kit; one that checks no lock ids is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.secrets import Secret
from infctl.spec.backends import HttpState
from infctl.state.journal import Record
from infctl.state.remote.head import Head, encode
from infctl.state.remote.http import HttpPlace, open_http
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import CHECKS, Check, sample
from tests.contract.servers import Server
from tests.testbed.state_server import USER, StateServer, state_server
from tests.unit.state.words import refused


def place_at(server: StateServer, workspace: str = "default", *, unsafe: bool = False) -> HttpPlace:
    state = HttpState(address=server.address, username=USER, unsafe_no_fencing=unsafe)
    return open_http(state, workspace, Secret(server.password))


def store_at(
    server: StateServer, workspace: str = "default", lease: float = 60.0, *, unsafe: bool = False
) -> RemoteStore:
    return RemoteStore(place_at(server, workspace, unsafe=unsafe), workspace, Seal(), lease=lease)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_http_store(check: Check, http_server: StateServer) -> None:
    check(Server(lambda workspace, lease: store_at(http_server, workspace, lease)))


@pytest.mark.parametrize("mistake", ["any-write", "any-unlock"])
def test_a_server_that_checks_no_lock_ids_is_refused_unless_asked_for(tmp_path: Path, mistake: str) -> None:
    with state_server(tmp_path / "log", mistake) as server:
        words = refused(lambda: store_at(server).lock("ops", "apply"))
        assert "no-fencing" in words
        assert "unsafe_no_fencing: true" in words
        assert store_at(server).load().state is None, "trying it left nothing behind"
        with store_at(server, unsafe=True).lock("ops", "apply") as lease:
            lease.commit(sample())
        assert store_at(server).load().state is not None


def test_a_server_that_knows_no_lock_is_refused(tmp_path: Path) -> None:
    with state_server(tmp_path / "log", "no-lock") as server:
        words = refused(lambda: store_at(server).lock("ops", "apply"))
        assert "it cannot be locked: HTTP 405" in words


def test_a_write_whose_answer_is_an_error_counts_if_it_was_done(tmp_path: Path) -> None:
    with state_server(tmp_path / "log", "late-500") as server:
        with store_at(server, unsafe=True).lock("ops", "apply") as lease:
            lease.commit(sample())
            for number in range(4):
                lease.append((Record(f"s{number}", "begin"),))
        assert [record.step for record in store_at(server).load().journal] == ["s0", "s1", "s2", "s3"]
        assert store_at(server).lock_info() is None


def test_an_answer_that_is_cut_short_is_no_state(tmp_path: Path) -> None:
    with state_server(tmp_path / "log", "cut") as server:
        assert place_at(server, unsafe=True).write(encode(Head(seq=1)), "")
        words = refused(lambda: store_at(server).load())
        assert "state-unreadable" in words
        assert "IncompleteRead" in words


def test_a_wrong_password_is_said_and_not_repeated(http_server: StateServer) -> None:
    words = refused(lambda: store_at(http_server._replace(password="guess-what")).load())
    assert "state-forbidden" in words
    assert "guess-what" not in words


def test_the_lock_of_a_run_that_died_before_it_wrote_is_waited_for_and_taken(http_server: StateServer) -> None:
    assert place_at(http_server).enter("dead", "")
    words = refused(lambda: store_at(http_server, lease=0.3).lock("ops", "apply", timeout=0.1))
    assert "state-locked" in words
    assert "lock dead" in words
    with store_at(http_server, lease=0.3).lock("ops", "apply", timeout=30) as lease:
        lease.commit(sample())
