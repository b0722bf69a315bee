"""A container that somebody started by hand is taken in though nothing is known yet, and replaced by one of infctl."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.rack import SERVE, rack_in
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


def test_a_container_made_by_hand_is_the_first_that_is_remembered(hosts: HostsOf, tmp_path: Path) -> None:
    (host,) = made = hosts("current", loaded=("busybox:1", "haproxy:3.0"))
    by_hand = ("--name", "by-hand", "--stop-signal", "KILL", "-p", "127.0.0.1:21999:8080")
    host.docker("run", "-d", *by_hand, "busybox:1", "sh", "-c", SERVE)
    rack = rack_in(tmp_path, made)
    infctl = rack.stack.infctl
    assert "There is no target rak" in infctl("import", 'docker_container.chat["rak/0"]', "by-hand", code=1)
    assert "error[no-such-object]" in infctl("import", 'docker_container.chat["rack/0"]', "by-hnd", code=1)
    assert "Imported by-hand" in infctl("import", 'docker_container.chat["rack/0"]', "by-hand")
    assert infctl("state", "list").split() == ['docker_container.chat["rack/0"]']
    planned = infctl("plan", "-detailed-exitcode", code=2)
    assert "model.chat will be taken over: r1, 1 replica" in planned
    assert "new before old" in planned
    assert "Plan: 4 to add, 0 to change, 1 to destroy." in planned
    assert "by-hand" in host.docker("ps", "--format", "{{.Names}}")  # nobody touched it yet

    infctl("apply", "-auto-approve")
    assert "by-hand" not in host.docker("ps", "-a", "--format", "{{.Names}}")
    assert rack.answers() == rack.replicas()[0]
    assert "No changes." in infctl("plan", "-detailed-exitcode")
    infctl("destroy", "-auto-approve")
