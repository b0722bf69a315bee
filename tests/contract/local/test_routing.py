"""The local target's stable addresses: drains, moves, and a relay that comes and goes."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Do, Known
from infctl_local.routes import socket_path
from tests.contract.local.asking import answer, begin_stream, kill, pids, run_dir
from tests.contract.local.stack import SERVER, LocalStack, custom, deployment, only, stack_in, template


def test_a_killed_relay_listens_again_where_it_did(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    for pid in pids(stack, relay).values():
        kill(pid)
    running = {seen.address.kind: seen.running for seen in stack.observe()}
    assert running == {"local_relay": False, "local_process": True, "local_route": False}
    stack.do(Do.UPDATE, relay)
    assert all(seen.running for seen in stack.observe())
    assert answer(stack.seen[str(route.address)].outputs["url"])["env"]


def test_a_route_removed_while_the_relay_is_down_stays_removed(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    for pid in pids(stack, relay).values():
        kill(pid)
    stack.do(Do.DELETE, route)
    stack.do(Do.UPDATE, relay)
    with pytest.raises(OSError, match="refused"):
        urlopen(stack.seen[str(route.address)].outputs["url"], timeout=5)


def test_a_drain_waits_for_open_requests_and_says_so(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    whole, request = begin_stream(stack, route, seconds=1.5)
    stack.do(Do.SWITCH, route, after={**route.values, "backends": ()})
    began = monotonic()
    stack.do(Do.DRAIN, replica, timeout=20.0)
    assert 0.5 < monotonic() - began < 10
    request.join()
    assert b"".join(whole) == b"first last"
    assert [word.phase for word in stack.said] == ["drain"] * len(stack.said)
    assert stack.said[0].detail == "1 still running"


def test_a_drain_that_takes_too_long_cuts_and_says_how_many(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    _, request = begin_stream(stack, route, seconds=30)
    stack.do(Do.SWITCH, route, after={**route.values, "backends": ()})
    stack.do(Do.DRAIN, replica, timeout=0.3)
    assert stack.said[-1].detail == "1 still running after 0.3 s: cut"
    stack.do(Do.DELETE, replica)
    request.join(timeout=10)
    assert not request.is_alive()


def test_an_automatic_port_is_kept_by_the_object_that_takes_its_place(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    was = stack.seen[str(route.address)]
    stack.do(Do.DELETE, route)
    new = replace(route, revision=9)  # another id at the same address
    seen = stack.do(Do.CREATE, new, before=Known(was.address, was.id, was.name, was.outputs))
    assert seen is not None
    assert seen.id != was.id
    assert seen.outputs == was.outputs


def test_a_route_moves_to_another_port_and_refuses_a_taken_one(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    old = stack.seen[str(route.address)].outputs["url"]
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        holder.listen()
        with pytest.raises(ProviderError) as caught:
            stack.do(Do.UPDATE, route, after={**route.values, "port": port})
        assert "expose.port" in caught.value.diagnostics[0].hint
        assert answer(old)["env"]
    moved = stack.do(Do.UPDATE, route, after={**route.values, "port": port})
    assert moved is not None
    assert moved.outputs == {"url": f"http://127.0.0.1:{port}/v1", "port": port}
    assert answer(f"http://127.0.0.1:{port}/health")["env"]
    with pytest.raises(OSError, match="refused"):
        urlopen(old, timeout=5)


def test_no_request_fails_while_one_revision_takes_over_from_another(stack: LocalStack) -> None:
    first = stack.lower(deployment(template()))
    stack.make(*first)
    old, route = only(first, "local_process"), only(first, "local_route")
    assert stack.wait_ready(old).ready
    url = stack.seen[str(route.address)].outputs["url"] + "/completions"
    answered: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answered.append(len(answer(url, {"model": "tiny", "prompt": "Once", "max_tokens": 4})["choices"]))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    new = only(
        stack.lower(deployment(template(args={"ctx_size": 128, "parallel": 1, "threads": 1}), 2)), "local_process"
    )
    stack.do(Do.CREATE, new)
    assert stack.wait_ready(new).ready
    stack.do(Do.SWITCH, route)
    at_switch = len(answered)
    stack.do(Do.DRAIN, old, timeout=10)
    stack.do(Do.DELETE, old)
    while len(answered) < at_switch + 20:
        sleep(0.01)
    stop.set()
    for client in clients:
        client.join()  # a request that failed has ended its thread with an error, which fails the test
    assert set(answered) == {1}


def test_a_folder_too_deep_for_a_socket_has_it_elsewhere_and_leaves_nothing_there(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 20)
    root.mkdir()
    (root / "serve.py").write_text(SERVER, "utf-8")
    with stack_in(root) as stack:
        wants = stack.lower(custom())
        stack.make(*wants)
        socket_file = socket_path(run_dir(stack, wants[0]))
        assert len(bytes(socket_file)) < 100
        assert socket_file.parent.stat().st_mode & 0o777 == 0o700
    assert not socket_file.parent.exists()


def test_a_renamed_models_route_and_a_new_one_under_the_old_name_do_not_meet(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    stack.do(Do.UPDATE, route, after={**route.values, "model": "renamed", "served_names": ("renamed", "tiny")})
    newcomer = replace(route, revision=7)  # another id at the old address
    stack.do(Do.CREATE, newcomer, after={**route.values, "backends": ()})
    urls = {seen.values["model"]: seen.outputs["url"] for seen in stack.observe() if seen.address.kind == "local_route"}
    assert set(urls) == {"renamed", "tiny"}
    assert answer(urls["renamed"])["env"]
    stack.do(Do.DELETE, newcomer)
    assert answer(urls["renamed"])["env"]
