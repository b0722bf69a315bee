"""A run whose state is shared is cut off from it in the middle of an apply: it stops, says the way on, and the next
run finishes with nothing lost and nothing twice.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.stack import Stack, stack_in
from tests.acceptance.test_two_applies import ENGINE, begin, end
from tests.testbed.state_server import USER, StateServer, state_server

LEASE = 2  # seconds
PROCESSES = 3  # the replica's supervisor, the relay's, and the relay
MOST = 150  # times to look
STACK = f"""\
apiVersion: infctl/v1
name: acme
secrets:
  server: {{env: SERVER_PASSWORD}}
state: {{backend: http, address: ADDRESS, username: {USER}, password: secret://server, timeout: 1s}}
models:
  slow:
    engine: custom
    command: ["{sys.executable}", "{ENGINE}"]
    health: /
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StateServer]:
    with state_server(tmp_path / "server.log") as started:
        yield started


@pytest.fixture
def shared(tmp_path: Path, server: StateServer) -> Iterator[Stack]:
    folder = tmp_path / "stack"
    folder.mkdir()
    with stack_in(folder, {"SERVER_PASSWORD": server.password, "INFCTL_LEASE": str(LEASE)}) as stack:
        stack.write(STACK, ADDRESS=server.address)
        yield stack


def standing(stack: Stack) -> set[int]:
    """Return the pids of all that a model needs here, once all of it has come: a process that starts another goes."""
    found: list[set[int]] = [set()]
    while len(found[-1]) != PROCESSES or found[-1] != found[-2]:
        time.sleep(0.2)
        found.append({process.pid for process in stack.processes()})
        assert len(found) < MOST, found[-1]
    return found[-1]


def finish(stack: Stack, before: set[int]) -> None:
    said = stack.infctl("apply", "-auto-approve", "-lock-timeout=60s")
    assert "slow r1 serves" in said
    assert standing(stack) == before, "what was made before is taken up, and not twice"
    assert "No changes." in stack.infctl("plan", "-detailed-exitcode")
    pending = [thing["pending"] for thing in stack.state()["resources"]]
    assert set(pending) == {""}


def test_a_state_that_does_not_answer_stops_the_run_and_the_next_goes_on(shared: Stack, server: StateServer) -> None:
    running = begin(shared)
    before = standing(shared)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        time.sleep(LEASE)  # more than half of it: no heartbeat was confirmed
        (shared.folder / "go").touch()
        code, said = end(running)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert code == 1
    assert re.search(r"error\[(lease-lost|state-unwritable|state-unreadable)\]", said), said
    assert "run the same command again" in " ".join(said.split())
    assert "Traceback" not in said
    finish(shared, before)


def test_a_lock_that_is_taken_away_in_the_middle_stops_the_run(shared: Stack) -> None:
    running = begin(shared)
    before = standing(shared)
    refused = shared.infctl("apply", "-auto-approve", code=1)
    ident = re.search(r"force-unlock ([0-9a-f]+)", " ".join(refused.split()))
    assert ident, refused
    assert "no longer holds the lock" in shared.infctl("force-unlock", "-force", ident[1])
    (shared.folder / "go").touch()
    code, said = end(running)
    assert code == 1
    assert "error[lease-lost]" in said
    assert "run the same command again: it picks up where this one stopped" in " ".join(said.split())
    finish(shared, before)
