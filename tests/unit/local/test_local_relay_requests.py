"""One request through the relay: where it goes, and that it arrives as it was sent."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from infctl_local.relay_client import RelayClient
from infctl_local.routes import Backend
from tests.unit.local.backends import Answering, connect, post, stream
from tests.unit.local.relays import dead_backend, route_to


def test_each_piece_of_a_stream_passes_at_once(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    delays = [time.monotonic() - float(sent) for _, _, sent in stream(route.port, 6, every_s=0.15)]
    assert len(delays) == 6
    assert max(delays) < 0.15


@pytest.mark.parametrize("backends", [(), (dead_backend("dead"),), (Backend("idle", "http://127.0.0.1:9", 0),)])
def test_where_nobody_comes_the_answer_is_503(relay: RelayClient, backends: tuple[Backend, ...]) -> None:
    route = route_to(*backends, hold_s=0.3)
    relay.put_route(route)
    began = time.monotonic()
    status, answer = post(route.port, {"model": "chat"})
    assert time.monotonic() - began >= 0.3
    assert (status, answer["error"]["code"]) == (503, "no_backend")
    assert answer["error"]["message"] == "No backend of `chat` was ready within 0.3 s."


def test_a_backend_that_is_not_there_costs_no_request(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    loading = start("loading")
    loading.status = 503
    route = route_to(dead_backend("dead"), start("here").backend(), loading.backend())
    relay.put_route(route)
    assert [post(route.port, {"model": "chat"})[1]["by"] for _ in range(12)] == ["here"] * 12


def test_a_model_that_is_not_served_here_is_404(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    status, answer = post(route.port, {"model": "chta"})
    assert status == 404
    assert answer["error"] == {
        "message": "The model `chta` does not exist here. This address serves `chat`, `gpt`.",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    assert post(route.port, {"model": "gpt"})[0] == 200
    assert post(route.port, {"prompt": "no model"})[0] == 200


def test_a_backend_gets_the_name_that_it_knows(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend(), engine_model="internal")
    relay.put_route(route)
    assert json.loads(post(route.port, {"model": "chat", "n": 1})[1]["body"]) == {"model": "internal", "n": 1}


def test_weights_are_kept_and_turns_spread(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend(3), start("b").backend(1), start("c").backend(0))
    relay.put_route(route)
    turns = [post(route.port, {"model": "chat"})[1]["by"] for _ in range(8)]
    assert turns == ["a", "a", "b", "a"] * 2


def test_a_client_that_leaves_ends_the_backend_s_work(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    backend = start("a")
    route = route_to(backend.backend())
    relay.put_route(route)
    pieces = stream(route.port, 1000, every_s=0.05)
    next(pieces)
    pieces.close()
    assert backend.cut.wait(10)
    assert relay.wait_drained("a", timeout_s=5)


def test_a_stream_that_breaks_is_broken_for_the_client(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    connection = connect(route.port)
    connection.request("POST", "/", json.dumps({"pieces": 5, "every_s": 0.05, "break_after": 2}))
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        connection.getresponse().read()
    connection.close()
    (seen,) = relay.status().routes
    assert (seen.failures, seen.backends[0].failures, seen.backends[0].in_flight) == (1, 1, 0)


def test_a_request_that_kills_backends_does_not_meet_them_all(relay: RelayClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        deaths = []

        def die() -> None:
            for _ in range(3):
                connection, _ = listening.accept()
                connection.recv(100_000)
                connection.close()
                deaths.append(connection)

        thread = threading.Thread(target=die)
        thread.start()
        route = route_to(*(Backend(str(number), url) for number in range(6)))
        relay.put_route(route)
        status, answer = post(route.port, {"model": "chat"})
        thread.join()
    assert (status, answer["error"]["code"], len(deaths)) == (502, "backend_failed", 3)


def test_headers_and_paths_pass_but_for_those_of_one_connection(
    relay: RelayClient, start: Callable[[str], Answering]
) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    connection = connect(route.port)
    headers = {"Authorization": "Bearer x", "Connection": "X-Mine, keep-alive", "X-Mine": "1", "X-Other": "2"}
    connection.request("GET", "/v1/files?a=%2Fb&c=d%20e", headers=headers)
    response = connection.getresponse()
    seen = json.loads(response.read())
    connection.close()
    assert seen["path"] == "/v1/files?a=%2Fb&c=d%20e"
    assert seen["headers"].keys() == {"Host", "Accept-Encoding", "Authorization", "X-Other", "Connection"}
    assert seen["headers"]["Connection"] == "close"
    assert response.headers["X-Engine"] == "a"
    assert response.headers["Keep-Alive"] is None


def test_a_packed_request_is_unpacked(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    connection = connect(route.port)
    connection.request("POST", "/", gzip.compress(b'{"model": "chat"}'), {"Content-Encoding": "gzip"})
    assert json.loads(connection.getresponse().read())["body"] == '{"model": "chat"}'
    connection.request("POST", "/", gzip.compress(b'{"model": "other"}'), {"Content-Encoding": "gzip"})
    assert connection.getresponse().status == 404
    connection.close()


def test_a_request_beyond_the_limit_is_413(relay: RelayClient, start: Callable[[str], Answering]) -> None:
    route = route_to(start("a").backend())
    relay.put_route(route)
    connection = connect(route.port)
    connection.putrequest("POST", "/v1/completions")
    connection.putheader("Content-Length", str(64 * 2**20 + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]["code"]) == (413, "request_too_large")
    connection.close()
