"""The relay as a process: routes change under load and nobody notices."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl_local.process import free_port, stop
from infctl_local.relay_client import RelayClient, RelayError
from infctl_local.routes import ROUTES, Backend, socket_path
from tests.unit.local.backends import Answering, connect, post, stream
from tests.unit.local.relays import route_to, run_relay
from tests.unit.local.waiting import until


def test_a_draining_backend_finishes_while_new_requests_go_elsewhere(
    relay: RelayClient, start: Callable[[str], Answering]
) -> None:
    old, new = start("old"), start("new")
    route = route_to(old.backend())
    relay.put_route(route)
    pieces = stream(route.port, 10, every_s=0.1)
    seen = [next(pieces)]
    status = relay.put_route(replace(route, backends=(new.backend(),)))
    assert [(b.id, b.in_flight, b.draining) for b in status.routes[0].backends] == [
        ("new", 0, False),
        ("old", 1, True),
    ]
    assert post(route.port, {"model": "chat"})[1]["by"] == "new"
    assert not relay.wait_drained("old", timeout_s=0.1)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, pieces)
        assert relay.wait_drained("old", timeout_s=10)
        seen += rest.result()
    assert [(name, number) for name, number, _ in seen] == [("old", str(number)) for number in range(10)]
    assert [backend.id for backend in relay.status().routes[0].backends] == ["new"]


def test_no_request_fails_and_no_connection_is_cut_while_routes_change(
    relay: RelayClient, start: Callable[[str], Answering]
) -> None:
    one, two = start("one").backend(), start("two").backend()
    route = route_to(one)
    relay.put_route(route)
    over = threading.Event()

    def ask_250_times() -> Counter[str]:
        connection = connect(route.port)
        connection.connect()
        connection.auto_open = 0  # a connection that is cut is a failure, not a reason to open another
        answers: Counter[str] = Counter()
        for _ in range(250):
            connection.request("POST", "/v1/completions", '{"model": "chat"}')
            response = connection.getresponse()
            answers[json.loads(response.read())["by"] if response.status == 200 else "failed"] += 1
        connection.close()
        return answers

    def switch() -> int:
        switches = 0
        while not over.is_set():
            for backends in ((two,), (one, two), (one,)):
                relay.put_route(replace(route, backends=backends))
                switches += 1
        return switches

    with ThreadPoolExecutor(9) as pool:
        switching = pool.submit(switch)
        answers = sum((asking.result() for asking in [pool.submit(ask_250_times) for _ in range(8)]), Counter())
        over.set()
        assert switching.result() > 10
    assert answers["failed"] == 0
    assert answers["one"] + answers["two"] == 2000
    assert min(answers["one"], answers["two"]) > 0
    assert (relay.status().routes[0].requests, relay.status().routes[0].failures) == (2000, 0)


def test_requests_wait_for_a_backend(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(hold_s=10)
    relay.put_route(route)
    backend = start("late").backend()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(post, route.port, {"model": "chat"}) for _ in range(4)]
        until(lambda: relay.status().routes[0].requests == 4)
        relay.put_route(replace(route, backends=(backend,)))
        assert [asked.result()[0] for asked in waiting] == [200] * 4


def test_a_killed_relay_listens_again_where_it_did(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend(), hold_s=2.5)
    relay.put_route(route)
    os.kill(before := relay.status().pid, signal.SIGKILL)
    assert relay.wait_ready(20).pid != before
    assert post(route.port, {"model": "chat"})[1]["by"] == "a"


def test_an_address_moves_without_cutting_its_connections(
    relay: RelayClient, start: Callable[[str], Answering]
) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    pieces = stream(route.port, 5, every_s=0.1)
    next(pieces)
    moved = replace(route, port=free_port("127.0.0.1"))
    relay.put_route(moved)
    assert post(moved.port, {"model": "chat"})[0] == 200
    with pytest.raises(ConnectionRefusedError):
        post(route.port, {"model": "chat"})
    assert len(list(pieces)) == 4


def test_an_address_widens_on_its_port(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    relay.put_route(replace(route, bind="0.0.0.0"))  # noqa: S104  -- what is tested
    assert post(route.port, {"model": "chat"})[0] == 200


def test_a_port_that_is_taken_changes_nothing(
    relay: RelayClient, start: Callable[[str], Answering], shared: Path
) -> None:
    backend = start("a").backend()
    route = route_to(backend)
    relay.put_route(route)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        with pytest.raises(RelayError, match="address already in use"):
            relay.put_route(replace(route, port=taken))
        with pytest.raises(RelayError, match="address already in use"):
            relay.put_route(replace(route, model="other", port=taken))
    assert post(route.port, {"model": "chat"})[1]["by"] == "a"
    assert [file.name for file in (shared / ROUTES).iterdir()] == ["chat.json"]


def test_a_port_that_is_taken_after_a_restart_is_awaited(runs: Path, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    run_relay(runs / "relay").put_route(route)
    stop(runs / "relay", 5)
    with socket.create_server(("127.0.0.1", route.port)):
        relay = run_relay(runs / "relay")
        (seen,) = relay.status().routes
        assert not seen.listening
        assert "address already in use" in seen.problem
    until(lambda: relay.status().routes[0].listening)
    assert post(route.port, {"model": "chat"})[0] == 200


def test_a_deleted_route_finishes_what_is_open(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    pieces = stream(route.port, 5, every_s=0.1)
    next(pieces)
    for _ in range(2):
        status = relay.delete_route("chat")
        assert (status.routes[0].listening, status.in_flight("a")) == (False, 1)
    assert len(list(pieces)) == 4
    assert relay.wait_drained("a", timeout_s=5)
    assert relay.status().routes == ()
    with pytest.raises(ConnectionRefusedError):
        post(route.port, {"model": "chat"})


def test_a_stopped_relay_finishes_what_is_open(runs: Path, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    run_relay(runs / "relay").put_route(route)
    pieces = stream(route.port, 5, every_s=0.1)
    next(pieces)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, pieces)
        stop(runs / "relay", 5)
        assert len(rest.result()) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"served_names": ()}, "served_names must have at least one name"),
        ({"port": 70_000}, "port 70000 is not between 1 and 65535"),
        ({"backends": (Backend("a", "ftp://x"),)}, "backend a: 'ftp://x' is not an http:// address"),
        ({"backends": (Backend("a", "http://x"),) * 2}, "two backends have the same id"),
        ({"backends": (Backend("a", "http://x", -1),)}, "backend a: weight -1 is not a whole number from 0 on"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(relay: RelayClient, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RelayError, match=said):
        relay.put_route(route_to(**change))
    assert relay.status().routes == ()


def test_a_file_that_is_no_route_is_said_and_stops_no_other(runs: Path, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    (runs / "relay" / ROUTES).mkdir(parents=True)
    (runs / "relay" / ROUTES / "chat.json").write_text(route.to_json())
    (runs / "relay" / ROUTES / "other.json").write_text("{}")
    status = run_relay(runs / "relay").status()
    assert post(route.port, {"model": "chat"})[0] == 200
    assert "served_names" in status.unreadable["other"]


def test_a_directory_too_deep_for_a_socket_is_no_obstacle(runs: Path) -> None:
    deep = runs / ("d" * 60) / ("e" * 60)
    relay = run_relay(deep)
    assert relay.status().routes == ()
    os.kill(before := relay.status().pid, signal.SIGKILL)
    assert relay.wait_ready(20).pid != before
    short = socket_path(deep).parent
    assert short != deep
    stop(deep, 5)
    assert not short.exists()


def test_a_relay_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RelayError, match=r"does not answer: .*No such file"):
        RelayClient(tmp_path).status()
