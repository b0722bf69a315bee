"""A host's proxy on a real HAProxy: who answers, what a death costs, what a reload costs, what a drain waits for."""

from __future__ import annotations

import fcntl
import http.client
import json
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Progress
from infctl_docker.door_key import door_pem
from infctl_docker.proxy_book import BOOK, CONFIG, parse_book
from infctl_docker.proxy_config import digest
from tests.contract.docker.haproxy import Replica, Site, ask, change, free_port, silent, site, wait, who
from tests.needs import need_command

TURN = Path(tempfile.gettempdir()) / "infctl-haproxy-tests.lock"


@pytest.fixture(autouse=True)
def _haproxy() -> Iterator[None]:
    """One test at a time, whichever process runs it: two HAProxy of one user may share a port (SO_REUSEPORT)."""
    need_command("haproxy")
    with TURN.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    made = [Replica(name).start() for name in ("a", "b", "c")]
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path) as made:
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    with site(tmp_path, "h1", door=True) as one, site(tmp_path, "h2", door=True) as other:
        yield one, other


def test_an_address_leads_to_all_replicas_and_keeps_its_port(here: Site, replicas: list[Replica]) -> None:
    a, b, c = replicas
    port = here.route(a.endpoint, b.endpoint)
    assert {who(port) for _ in range(40)} == {"a", "b"}
    assert here.route(c.endpoint) == port
    assert {who(port) for _ in range(40)} == {"c"}


def test_what_is_as_it_should_be_is_not_loaded_again(here: Site, replicas: list[Replica]) -> None:
    here.route(replicas[0].endpoint)
    loads = here.box.reloads
    here.route(replicas[0].endpoint)
    assert here.box.reloads == loads


def test_an_idle_replica_of_this_host_is_asked_first_and_a_busy_one_shares(
    two: tuple[Site, Site], replicas: list[Replica]
) -> None:
    one, other = two
    near, far = replicas[0], replicas[1]
    far.host = "h2"
    other.route(near.endpoint, far.endpoint, doors={"h1": one.door})
    port = one.route(near.endpoint, far.endpoint, doors={"h2": other.door})
    wait(lambda: "UP" in _status(one, "host-h2"))
    assert slowly(port).count("a") > 8
    asked = near.asked
    busy = threading.Thread(target=ask, args=(port,), kwargs={"sleep": 1})
    busy.start()
    wait(lambda: near.asked > asked)
    assert who(port) == "b"
    busy.join()


def test_the_death_of_a_replica_costs_no_request_and_that_of_all_of_a_host_only_a_second(
    two: tuple[Site, Site], replicas: list[Replica]
) -> None:
    one, other = two
    near, also, far = replicas
    far.host = "h2"
    ends = (near.endpoint, also.endpoint, far.endpoint)
    other.route(*ends, doors={"h1": one.door})
    port = one.route(*ends, doors={"h2": other.door})
    wait(lambda: "UP" in _status(one, "host-h2"))
    near.stop()
    assert slowly(port).count("b") > 8
    also.stop()
    began = time.monotonic()
    assert {who(port) for _ in range(5)} == {"c"}
    assert time.monotonic() - began < 3


def test_a_host_that_dies_is_left_within_two_seconds(two: tuple[Site, Site], replicas: list[Replica]) -> None:
    one, other = two
    near, far = replicas[0], replicas[1]
    far.host = "h2"
    other.route(far.endpoint)
    port = one.route(far.endpoint, near.endpoint, doors={"h2": other.door})
    wait(lambda: "UP" in _status(one, "host-h2"))
    other.box.stop()
    assert {who(port) for _ in range(5)} == {"a"}
    assert wait(lambda: "DOWN" in _status(one, "host-h2")) < 3


def test_nobody_passes_the_door_without_the_key(
    two: tuple[Site, Site], replicas: list[Replica], tmp_path: Path
) -> None:
    one, _ = two
    one.route(replicas[0].endpoint)
    port = int(one.door.rpartition(":")[2])
    assert _knock(port, None)[0] == 401
    assert "wrong_key" in _knock(port, None)[1]
    wrong, right = tmp_path / "wrong.pem", tmp_path / "right.pem"
    wrong.write_bytes(door_pem(b"another lineage", "rack"))
    right.write_bytes(door_pem(b"k" * 32, "rack"))
    assert _knock(port, right) == (200, "ok")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _knock(port, wrong)
    assert replicas[0].asked == 0


def test_what_a_client_says_of_itself_goes_through_the_door(two: tuple[Site, Site], replicas: list[Replica]) -> None:
    one, other = two
    far = replicas[0]
    far.host = "h2"
    other.route(far.endpoint)
    port = one.route(far.endpoint, doors={"h2": other.door})
    wait(lambda: "UP" in _status(one, "host-h2"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/completions", "{}", {"authorization": "Bearer mine"})
    assert connection.getresponse().status == 200
    connection.close()
    assert far.headers["authorization"] == "Bearer mine"


def test_a_request_waits_for_a_replica_across_a_switch(here: Site, replicas: list[Replica]) -> None:
    port = here.route()
    answers: list[tuple[int, str]] = []
    big = "x" * 300_000  # more than any buffer holds
    waiting = [
        threading.Thread(target=lambda text=text: answers.append(ask(port, prompt=text))) for text in ("small", big)
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    here.route(replicas[0].endpoint)
    for thread in waiting:
        thread.join()
    assert [status for status, _ in answers] == [200, 200]


def test_a_request_that_nobody_comes_for_is_told_so(here: Site) -> None:
    port = here.route(hold=1)
    status, text = ask(port)
    assert (status, json.loads(text)["error"]["code"]) == (503, "no_backend")


def test_a_replica_that_is_not_ready_gets_nothing(here: Site, replicas: list[Replica]) -> None:
    a, b, _ = replicas
    a.ready = False
    port = here.route(a.endpoint, b.endpoint)
    assert {who(port) for _ in range(10)} == {"b"}


def test_a_kept_connection_goes_on_after_its_replicas_are_gone(here: Site, replicas: list[Replica]) -> None:
    a, b, _ = replicas
    connection = http.client.HTTPConnection("127.0.0.1", here.route(a.endpoint), timeout=10)
    connection.request("POST", "/v1/completions", "{}")
    assert json.loads(connection.getresponse().read())["by"] == "a"
    kept = connection.sock
    here.route(b.endpoint)
    a.stop()
    connection.request("POST", "/v1/completions", "{}")
    assert connection.sock is kept
    assert json.loads(connection.getresponse().read())["by"] == "b"
    connection.close()


def test_a_drain_waits_for_a_stream_of_an_old_worker(here: Site, replicas: list[Replica]) -> None:
    a, b, _ = replicas
    port = here.route(a.endpoint)
    answers: list[tuple[int, str]] = []
    stream = threading.Thread(target=lambda: answers.append(ask(port, stream=30, pause=0.1)))
    stream.start()
    wait(lambda: a.asked == 1)
    here.route(b.endpoint)
    heard: list[Progress] = []
    began = time.monotonic()
    here.proxy.drain(a.endpoint, 30, heard.append)
    assert time.monotonic() - began > 1.5
    assert heard
    assert heard[0].detail == "1 still running"
    stream.join()
    assert answers[0][1].rstrip().endswith("[DONE]")
    here.proxy.drain(a.endpoint, 30, heard.append)


def test_a_drain_goes_on_while_routes_of_others_are_loaded(here: Site, replicas: list[Replica]) -> None:
    a, b, c = replicas
    port = here.route(a.endpoint)
    stream = threading.Thread(target=ask, args=(port,), kwargs={"stream": 40, "pause": 0.1})
    stream.start()
    wait(lambda: a.asked == 1)
    here.route(b.endpoint)
    over = threading.Event()

    def load_others() -> None:
        for turn in range(100):
            if over.is_set():
                return
            here.route((b if turn % 2 else c).endpoint, model="other")

    others = threading.Thread(target=load_others)
    others.start()
    here.proxy.drain(a.endpoint, 30, silent)
    over.set()
    others.join()
    stream.join()


def test_a_drain_ends_when_its_time_is_over(here: Site, replicas: list[Replica]) -> None:
    a, b, _ = replicas
    port = here.route(a.endpoint)
    stream = threading.Thread(target=ask, args=(port,), kwargs={"stream": 30, "pause": 0.1})
    stream.start()
    wait(lambda: a.asked == 1)
    here.route(b.endpoint)
    heard: list[Progress] = []
    began = time.monotonic()
    here.proxy.drain(a.endpoint, 0.5, heard.append)
    assert time.monotonic() - began < 2
    assert "cut" in heard[-1].detail
    stream.join()


def test_a_taken_port_is_named_and_nothing_changes(here: Site, replicas: list[Replica]) -> None:
    port = here.route(replicas[0].endpoint)
    loads = here.box.reloads
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        with pytest.raises(ProviderError, match=f"Port {taken} on 127.0.0.1 of h1 is in use") as raised:
            here.route(replicas[1].endpoint, port=taken)
    assert "models.chat.expose.port" in raised.value.diagnostics[0].hint
    assert here.box.reloads == loads
    assert who(port) == "a"


def test_a_port_is_chosen_where_nobody_listens(here: Site, replicas: list[Replica]) -> None:
    port = here.route(replicas[0].endpoint)
    here.proxy.drop_route("chath1")
    wait(lambda: not any(one.port == port for one in here.box.listeners()))
    with socket.create_server(("127.0.0.1", port)):
        other = here.route(replicas[0].endpoint)
    assert other != port
    assert who(other) == "a"


def test_an_address_moves_to_a_fixed_port(here: Site, replicas: list[Replica]) -> None:
    old, new = here.route(replicas[0].endpoint), free_port()
    assert here.route(replicas[0].endpoint, port=new) == new
    assert who(new) == "a"
    wait(lambda: refused(old))  # the old worker leaves its door a moment after the new one came


def refused(port: int) -> bool:
    try:
        who(port)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_what_haproxy_refuses_is_told_in_its_words_and_changes_nothing(here: Site, replicas: list[Replica]) -> None:
    port = here.route(replicas[0].endpoint)
    before = here.box.read()
    with pytest.raises(ProviderError, match="HAProxy refuses") as raised:
        here.route("h1:99999999")
    assert "99999999" in raised.value.diagnostics[0].detail
    assert {name: data for name, data in here.box.read().items() if name in {CONFIG, BOOK}} == {
        name: data for name, data in before.items() if name in {CONFIG, BOOK}
    }
    assert who(port) == "a"


def test_a_host_whose_name_the_others_do_not_know_is_an_error_that_says_so(here: Site, replicas: list[Replica]) -> None:
    with pytest.raises(ProviderError, match="HAProxy refuses") as raised:
        here.route(replicas[0].endpoint, "h2:20000", doors={"h2": "gpu-02.invalid:24000"})
    assert "gpu-02.invalid" in raised.value.diagnostics[0].detail
    assert "`address`" in raised.value.diagnostics[0].hint


@pytest.mark.parametrize("bind", ["localhost", "127.0.0.1", "0.0.0.0", "::", "::1"])  # noqa: S104
def test_an_address_of_any_kind_answers(here: Site, replicas: list[Replica], bind: str) -> None:
    port = here.route(replicas[0].endpoint)
    assert here.route(replicas[0].endpoint, bind=bind) == port
    host = "::1" if bind == "::1" else "127.0.0.1"
    try:
        found = status(host, port)
    except ConnectionResetError:
        assert bind not in {"localhost", "127.0.0.1"}  # only another socket may turn away who stood at the old one
        found = status(host, port)
    assert found == 200


def status(host: str, port: int) -> int:
    with closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
        connection.request("POST", "/v1/completions", "{}")
        return connection.getresponse().status


def test_an_edit_by_hand_is_seen_and_undone(here: Site, replicas: list[Replica]) -> None:
    port = here.route(replicas[0].endpoint)
    files = here.box.read()
    assert parse_book(files[BOOK]).config == digest(files[CONFIG])
    here.box.write({CONFIG: files[CONFIG].replace(b"retries 3", b"retries 9")})
    assert parse_book(files[BOOK]).config != digest(here.box.read()[CONFIG])
    here.proxy.settle({"address": "127.0.0.1", "door": False}, "seed")
    assert here.box.read()[CONFIG] == files[CONFIG]
    assert who(port) == "a"


def test_many_models_at_once_cost_few_reloads_and_a_wrong_one_stops_no_other(
    here: Site, replicas: list[Replica]
) -> None:
    ends = {f"m{number}": replicas[number % 3].endpoint for number in range(16)} | {"wrong": "h1:99999999"}
    here.route(replicas[0].endpoint)
    loads = here.box.reloads
    ports: dict[str, int] = {}
    refused: list[str] = []

    def put(model: str) -> None:
        try:
            ports[model] = here.route(ends[model], model=model)
        except ProviderError:
            refused.append(model)

    threads = [threading.Thread(target=put, args=(model,)) for model in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["wrong"]
    assert {who(port) for port in ports.values()} == {"a", "b", "c"}
    assert len(set(ports.values())) == 16
    assert here.box.reloads - loads <= 18
    began = here.box.reloads
    ends = dict.fromkeys(ports, replicas[0].endpoint)
    threads = [threading.Thread(target=put, args=(model,)) for model in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here.box.reloads - began <= 4
    assert {who(port) for port in ports.values()} == {"a"}


def test_a_run_killed_before_the_reload_is_finished_by_the_next(here: Site, replicas: list[Replica]) -> None:
    a, b, _ = replicas
    port = here.route(a.endpoint)
    before = here.box.read()
    here.route(b.endpoint)
    after = here.box.read()
    here.box.write(before)
    here.box.reload()
    wait(here.proxy.is_loaded)
    here.box.write({CONFIG: after[CONFIG]})  # in place, but neither loaded nor in the book
    here.route(b.endpoint)
    assert who(port) == "b"
    assert change("h1", {}).labels.id in parse_book(here.box.read()[BOOK]).routes


@dataclass
class Load:
    """Clients that ask over and over: with kept connections and new ones, for streams and whole answers."""

    port: int
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, *, keep: bool, stream: bool) -> None:
        body = json.dumps({"stream": 3, "pause": 0.005} if stream else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.stopped.is_set():
            try:
                connection.request("POST", "/v1/completions", body)
                answer = connection.getresponse()
                text = answer.read().decode()
                whole = text.endswith("[DONE]\n\n") if stream else "by" in json.loads(text)
                if answer.status != http.client.OK or not whole:
                    self.failed.append(f"{answer.status} {text}")
            except (OSError, http.client.HTTPException, ValueError) as failure:
                self.failed.append(repr(failure))
                connection.close()
            self.asked += 1
            if not keep:
                connection.close()
        connection.close()


@pytest.mark.timeout(120)
def test_no_request_fails_while_the_routes_change(here: Site, replicas: list[Replica]) -> None:
    a, b, c = replicas
    load = Load(here.route(a.endpoint, b.endpoint))
    kinds = [{"keep": keep, "stream": stream} for keep in (True, False) for stream in (True, False)]
    clients = [threading.Thread(target=load.run, kwargs=kind) for kind in kinds * 2]
    for client in clients:
        client.start()
    rounds = 0
    try:
        while load.asked < 4000 or rounds < 6:
            rounds += 1
            for leaving, staying in ((a, (b, c)), (b, (c, a)), (c, (a, b))):
                here.route(*(one.endpoint for one in staying))
                here.proxy.drain(leaving.endpoint, 30, lambda _: None)
                leaving.stop()
                leaving.start()
            time.sleep(0.2)
    finally:
        load.stopped.set()
        for client in clients:
            client.join()
    assert not load.failed, (len(load.failed), load.asked, load.failed[:3])


def slowly(port: int) -> list[str]:
    """Return who answers ten requests, each some time after the one before was over for the proxy too."""
    found = []
    for _ in range(10):
        found.append(who(port))
        time.sleep(0.05)
    return found


def _status(where: Site, server: str) -> str:
    lines = where.box.ask("@1 show stat").splitlines()
    return next((line.split(",")[17] for line in lines if line.split(",")[1:2] == [server]), "")


def _knock(port: int, pem: Path | None) -> tuple[int, str]:
    """Ask the door as a stranger would, or with a key; TLS as `chat`, whose replicas are asked for."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pem:
        context.load_cert_chain(pem)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="chat.infctl") as wrapped,
    ):
        wrapped.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: wrapped.recv(65_536), b"")).decode()
    if not text:
        raise ConnectionError("closed without an answer")
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body
