"""The local target's stable addresses: drains, moves, and a relay that comes and goes."""

from __future__ import annotations

import socket
from dataclasses import replace
from time import monotonic
from urllib.request import urlopen

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Do, Known
from tests.contract.local.asking import answer, begin_stream, kill, pids
from tests.contract.local.stack import LocalStack, custom


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
