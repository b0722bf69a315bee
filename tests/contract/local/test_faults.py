"""The local target when things break: kills, reboots, broken files, engines that cannot start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Do, Probe, Scope
from infctl.secrets import Secret, SecretRef
from infctl_local.config import LocalTarget
from infctl_local.record import STATUS
from tests.contract.local.asking import answer, kill, pids, processes_in, run_dir
from tests.contract.local.stack import LocalStack, custom, deployment, ident_of, only, stack_in, template


def test_a_create_said_twice_or_twice_at_once_makes_one_object(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay)
    change = stack.change(Do.CREATE, replica)
    threads = [threading.Thread(target=stack.apply, args=(change,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before, seen = pids(stack, replica), stack.seen[str(replica.address)]
    assert stack.apply(change) == seen
    assert pids(stack, replica) == before
    stack.do(Do.CREATE, route)
    assert stack.do(Do.CREATE, route) == stack.seen[str(route.address)]
    assert len(stack.observe()) == 3
    assert len(processes_in(run_dir(stack, replica))) == 1


def test_an_engine_that_is_killed_comes_back_by_itself(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(deployment(template()))
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    fingerprint = stack.observe()[0].fingerprint
    kill(pids(stack, replica)["child"])
    deadline = monotonic() + 30
    while not stack.wait_ready(replica).ready:
        assert monotonic() < deadline
    assert stack.observe()[0].fingerprint == fingerprint
    log = "\n".join(stack.provider.logs(stack.seen[str(replica.address)], tail=50, follow=False))
    assert "SIGKILL" in log


def test_a_killed_supervisor_is_seen_and_its_replica_starts_again_at_its_port(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready
    was = stack.seen[str(replica.address)]
    kill(pids(stack, replica)["supervisor"])
    running = {seen.address.kind: seen.running for seen in stack.observe()}
    assert running == {"local_relay": True, "local_process": False, "local_route": True}
    health = stack.provider.probe(was)
    assert health.dead
    assert "gone" in health.detail
    again = stack.do(Do.UPDATE, replica)  # the engine, without its supervisor, still listens there
    assert again is not None
    assert (again.running, again.outputs) == (True, was.outputs)
    assert stack.wait_ready(replica).ready
    assert answer(stack.seen[str(route.address)].outputs["url"])["env"]["PORT"] == str(was.outputs["port"])


def test_a_stranger_with_the_same_pid_is_neither_taken_for_ours_nor_stopped(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    for pid in pids(stack, replica).values():
        kill(pid)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        path = run_dir(stack, replica) / STATUS
        status = json.loads(path.read_text("utf-8"))
        for who in ("supervisor", "child"):
            status[who]["pid"] = stranger.pid
        path.write_text(json.dumps(status), "utf-8")
        seen = {thing.id: thing for thing in stack.observe()}
        assert not seen[ident_of(replica)].running
        assert stack.provider.probe(seen[ident_of(replica)]).dead
        stack.do(Do.DELETE, replica)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_after_a_reboot_everything_is_there_but_down(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    for want in (relay, replica):
        for pid in pids(stack, want).values():
            kill(pid)
        path = run_dir(stack, want) / STATUS
        status = json.loads(path.read_text("utf-8"))
        for who in ("supervisor", "child"):
            status[who] |= {"boot": "another one", "pid": os.getpid()}
        path.write_text(json.dumps(status), "utf-8")
    assert [seen.running for seen in stack.observe()] == [False, False, False]
    for want in (relay, replica, route):
        stack.do(Do.UPDATE, want)
    assert [seen.running for seen in stack.observe()] == [True, True, True]
    assert stack.wait_ready(replica).ready


def test_a_fixed_engine_port_that_is_taken_is_refused_with_the_way_on(stack: LocalStack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        made = template(engine="custom", command=("true",), port=port)
        replica = only(stack.lower(deployment(made)), "local_process")
        with pytest.raises(ProviderError) as caught:
            stack.do(Do.CREATE, replica)
    assert str(port) in caught.value.diagnostics[0].summary
    assert "$PORT" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"GGUF but not really", "cannot load"), (b"something else", "not a GGUF file"), (None, "cannot read")],
)
def test_an_engine_that_cannot_start_is_dead_and_says_why(stack: LocalStack, content: bytes | None, words: str) -> None:
    if content is not None:
        (stack.context.root / "bad.gguf").write_bytes(content)
    replica = only(stack.lower(deployment(template(Path("bad.gguf")))), "local_process")
    stack.do(Do.CREATE, replica)
    health = stack.wait_ready(replica, timeout=20)
    assert health.dead
    assert [line for line in health.log if words in line], health
    (seen,) = stack.observe()
    assert not seen.running


def test_a_command_that_does_not_exist_is_dead_and_says_so(stack: LocalStack) -> None:
    made = template(engine="custom", command=("no-such-program", "{port}"), probe=Probe("http", "/"))
    replica = only(stack.lower(deployment(made)), "local_process")
    stack.do(Do.CREATE, replica)
    health = stack.wait_ready(replica, timeout=20)
    assert health.dead
    assert [line for line in health.log if "no-such-program" in line]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(stack: LocalStack) -> None:
    stack.context.data.mkdir(parents=True)
    (stack.context.data / "run").write_text("not a folder", "utf-8")
    reading = stack.provider.observe(Scope("3f0c", "test", "default"))
    assert [str(stack.context.data / "run")] == [place.place for place in reading.unreadable]
    (stack.context.data / "run").unlink()


@pytest.mark.parametrize("file", ["object.json", "status.json", "spec.json"])
def test_one_broken_object_is_named_and_the_others_are_still_seen(stack: LocalStack, file: str) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica, route)
    assert stack.wait_ready(replica).ready  # its supervisor has written what it had to write
    path = run_dir(stack, replica) / file
    whole = path.read_text("utf-8")
    path.write_text(whole[: len(whole) // 2], "utf-8")
    reading = stack.provider.observe(Scope("3f0c", "test", "default"))
    assert [run_dir(stack, replica).name in place.place for place in reading.unreadable] == [True]
    assert {seen.address.kind for seen in reading.value} == {"local_relay", "local_route"}
    path.write_text(whole, "utf-8")


def test_a_process_whose_description_is_gone_is_named_and_never_swept_away(stack: LocalStack) -> None:
    relay, replica, route = stack.lower(custom())
    stack.make(relay, replica)
    path = run_dir(stack, replica) / "object.json"
    whole = path.read_text("utf-8")
    path.unlink()
    reading = stack.provider.observe(Scope("3f0c", "test", "default"))
    assert [place.place for place in reading.unreadable] == [str(path)]
    stack.make(route)
    assert processes_in(run_dir(stack, replica))
    path.write_text(whole, "utf-8")


def test_a_run_killed_while_it_created_leaves_nothing_that_matters(stack: LocalStack) -> None:
    replica = only(stack.lower(custom()), "local_process")
    (stack.context.data / "run" / "half-made.0123").mkdir(parents=True)  # killed before it was described
    assert stack.observe() == ()
    stack.do(Do.CREATE, replica)
    assert not (stack.context.data / "run" / "half-made.0123").exists()
    stack.do(Do.STOP, replica)
    for path in run_dir(stack, replica).iterdir():  # killed after it was described, before it was started
        if path.name != "object.json":
            path.unlink()
    (seen,) = stack.observe()
    assert not seen.running
    assert stack.provider.probe(seen).dead
    stack.do(Do.CREATE, replica)
    assert stack.wait_ready(replica).ready


def test_what_is_gone_is_deleted_already(stack: LocalStack) -> None:
    wants = stack.lower(custom())
    stack.make(*wants)
    stack.end()
    assert [stack.do(do, want) for do in (Do.DRAIN, Do.STOP, Do.DELETE) for want in wants] == [None] * 9


def test_when_no_port_is_left_it_says_which_range(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        config = LocalTarget(ports=(port, port))
        with stack_in(tmp_path, config) as stack, pytest.raises(ProviderError, match="No port is free"):
            stack.do(Do.CREATE, only(stack.lower(custom()), "local_process"))


def test_an_engine_of_another_version_than_pinned_is_refused_with_the_way_on(stack: LocalStack) -> None:
    replica = only(stack.lower(deployment(template(engine_version="1999.1"))), "local_process")
    with pytest.raises(ProviderError, match=r"1999\.1 is pinned") as caught:
        stack.do(Do.CREATE, replica)
    assert "lock -upgrade" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize("name", ["../../escape", "a b", "", "1A", "A=B"])
def test_a_name_that_no_variable_can_have_writes_no_file(stack: LocalStack, name: str) -> None:
    replica = only(stack.lower(custom()), "local_process")
    env = {name: Secret("canary", SecretRef("token"))}
    with pytest.raises(ProviderError, match="environment variable"):
        stack.do(Do.CREATE, replica, after={**replica.values, "env": env})
    assert not [p for p in stack.context.root.rglob("*") if p.is_file() and "canary" in p.read_text(errors="replace")]
