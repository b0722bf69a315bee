"""Eight processes fight for one lock while holders are stopped past their lease and killed: no old token writes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.state.local import LocalStore
from infctl.state.store import new_state

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, SECONDS, LEASE = 8, 8.0, 0.3


class Arena:
    """The processes that fight, and what is done to them."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.dice = random.Random(seed)
        self.alive: list[subprocess.Popen[bytes]] = []
        self.stopped: dict[int, float] = {}  # pid -> when it goes on
        self.started = 0

    def start(self) -> None:
        self.started += 1
        log = self.root / f"log{self.started}"
        command = [sys.executable, "-m", "tests.chaos.torture_worker", str(self.root), str(log), str(self.started)]
        self.alive.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "INFCTL_LEASE": str(LEASE)}))

    def strike(self) -> None:
        """Stop or kill one: most often the holder, for that is where it could hurt."""
        self.let_go(time.monotonic())
        victim = self.dice.choice(self.alive)
        with suppress(InfctlError):
            info = LocalStore(self.root).lock_info()
            if info and self.dice.random() < 0.7:
                victim = next((one for one in self.alive if one.pid == info.pid), victim)
        if victim.pid in self.stopped:
            return
        if self.dice.random() < 0.25:
            victim.kill()
            victim.wait()
            self.alive.remove(victim)
            self.start()
        else:
            victim.send_signal(signal.SIGSTOP)
            self.stopped[victim.pid] = time.monotonic() + self.dice.uniform(LEASE, 4 * LEASE)

    def let_go(self, until: float) -> None:
        for pid in [pid for pid, moment in self.stopped.items() if moment <= until]:
            os.kill(pid, signal.SIGCONT)
            del self.stopped[pid]

    def end(self) -> None:
        self.let_go(float("inf"))
        for one in self.alive:
            one.kill()
            one.wait()


def fight(root: Path, seed: int) -> tuple[list[str], list[str]]:
    """Return the chain of writes that the state holds, and the lines of all logs."""
    with LocalStore(root).lock("test", "begin") as lease:
        lease.commit(replace(new_state("stack"), outputs={"chain": ()}))
    arena = Arena(root, seed)
    try:
        for _ in range(PROCESSES):
            arena.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(arena.dice.uniform(0.02, 0.15))
            arena.strike()
        (root / "stop").touch()
        arena.let_go(float("inf"))
        for one in arena.alive:
            one.wait(timeout=30)
    finally:
        arena.end()
    loaded = LocalStore(root).load()
    assert loaded.state is not None
    chain = [*loaded.state.outputs["chain"], *(record.step for record in loaded.journal)]
    return chain, [line for log in sorted(root.glob("log*")) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("seed", [1])
def test_no_write_with_an_old_token_is_accepted(tmp_path: Path, seed: int) -> None:
    chain, lines = fight(tmp_path, seed)
    acknowledged = [line for line in lines if not line.startswith("refused")]
    refused = [line for line in lines if line.startswith("refused")]
    fences = [int(entry.partition(":")[0]) for entry in chain]
    assert fences == sorted(fences), "a write with an older token came after one with a newer"
    assert len(chain) == len(set(chain))
    assert not set(acknowledged) - set(chain), "an acknowledged write is lost"
    assert len(acknowledged) > 20, "it was a fight"
    assert set(refused) == {"refused lease-lost"}, "some came back too late, and nothing else went wrong"
