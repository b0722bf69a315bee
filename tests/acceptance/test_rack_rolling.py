"""A rollout over hosts with room for one replica more: its second wave fails, or a host dies in the middle of it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.rack import SERVE, Racked, ask, rack_in
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(300)]
NEW = f": new; {SERVE}"
NOT_ON_L4 = f"if nvidia-smi -L | grep -q L4; then echo error: no such weights; exit 3; fi; {SERVE}"
FIRST_WAVE = re.compile(r"chat r2 +rack/0 h0 +answers")


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> Iterator[Racked]:
    """Three replicas of one GPU each on hosts with four: only the first host ever has one to spare."""
    big, small = Make("old", gpus="h100x2"), Make("current", gpus="l4x1", max_sessions=2)
    made = hosts(big, small, small, loaded=("busybox:1", "haproxy:3.0"))
    racked = rack_in(tmp_path, made, replicas=3, gpu={"count": 1})
    racked.stack.infctl("apply", "-auto-approve")
    yield racked
    racked.stack.infctl("destroy", "-auto-approve")


def serve(rack: Racked, command: str) -> None:
    rack.write(replicas=3, gpu={"count": 1}, command=["sh", "-c", command])


@dataclass
class Asked:
    answers: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)


@contextmanager
def asked(rack: Racked, host: DockerHost) -> Iterator[Asked]:
    """Ask the model at one host's address, one request after the other, until the block ends."""
    urls = json.loads(rack.stack.run("output", "-json").out)["chat.urls"]["value"]["rack"]
    url, heard, ended = urls[rack.hosts.index(host)], Asked(), threading.Event()

    def go_on() -> None:
        while not ended.wait(0.05):
            try:
                heard.answers.add(ask(host, url))
            except OSError as failure:
                heard.failed.append(str(failure))

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield heard
    finally:
        ended.set()
        asking.join()


def test_a_rollout_that_fails_in_its_second_wave_is_taken_back_on_every_host(rack: Racked) -> None:
    infctl, old = rack.stack.infctl, rack.replicas()
    assert [len(each) for each in old] == [1, 1, 1]
    serve(rack, NOT_ON_L4)
    assert "a few at a time" in infctl("plan")
    with asked(rack, rack.hosts[0]) as heard:
        failed = infctl("apply", "-auto-approve", code=1)
    assert not heard.failed
    assert heard.answers
    assert FIRST_WAVE.search(failed)
    assert "error: no such weights" in failed
    assert "Taken back: r1 serves as before." in failed
    assert "chat: back, r1 serves" in failed
    assert rack.revisions() == [1, 1, 1]
    assert not any("-r2-" in host.docker("ps", "-a", "--format", "{{.Names}}") for host in rack.hosts)
    serving = {one for each in rack.replicas() for one in each}
    assert len(serving) == 3
    assert {answer for _ in range(3) for answer in rack.answers()} <= serving

    status = " ".join(infctl("status").split())
    assert "chat r2 failed" in status
    assert "its log says: error: no such weights" in status
    assert "error: no such weights" in infctl("logs", "chat", "-revision", "2")
    assert "chat r3 may fail again" in " ".join(infctl("plan", "-detailed-exitcode", code=2).split())
    assert "error[revision-failed]" in infctl("apply", "-auto-approve", "-input=false", code=1)
    serve(rack, SERVE)
    assert "No changes." in infctl("plan", "-detailed-exitcode")


def test_a_host_that_dies_in_mid_rollout_is_named_and_the_next_apply_repairs_it(rack: Racked) -> None:
    infctl, dying = rack.stack.infctl, rack.hosts[2]
    serve(rack, NEW)
    said = ""
    with asked(rack, rack.hosts[0]) as heard, rack.stack.start("apply", "-auto-approve") as running:
        assert running.stdout
        assert running.stderr
        for line in running.stdout:
            said += line
            if FIRST_WAVE.search(line):
                dying.partition()
        said += running.stderr.read()
    assert running.returncode == 1, said
    assert "The host h2 cannot be used" in said
    assert not heard.failed
    infctl("plan", code=1)
    assert "error[unreachable]: h2 could not be read" in infctl("plan", code=1)

    dying.heal()
    assert "chat r2 serves" in infctl("apply", "-auto-approve")
    assert rack.revisions() == [2, 2, 2]
    serving = {one for each in rack.replicas() for one in each}
    assert len(serving) == 3
    assert {answer for _ in range(3) for answer in rack.answers()} <= serving
    assert "No changes." in infctl("plan", "-detailed-exitcode")
