"""Owns a fight of processes for one lock, in which holders are stopped past their lease and killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from infctl.diagnostics import InfctlError
from infctl.ops.stores import last_config, make_store
from infctl.state.store import Store, new_state

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8


class Arena:
    """The processes that fight, and what is done to them. `lease` in seconds."""

    def __init__(self, root: Path, seed: int, lease: float) -> None:
        self.root = root
        self.dice = random.Random(seed)
        self.lease = lease
        self.alive: list[subprocess.Popen[bytes]] = []
        self.stopped: dict[int, float] = {}  # pid -> when it goes on
        self.started = 0
        self.store = store_of(root)

    def start(self) -> None:
        self.started += 1
        log = self.root / f"log{self.started}"
        command = [sys.executable, "-m", "tests.chaos.torture_worker", str(self.root), str(log), str(self.started)]
        self.alive.append(subprocess.Popen(command, cwd=ROOT, env={**os.environ, "INFCTL_LEASE": str(self.lease)}))

    def strike(self) -> None:
        """Stop or kill one: most often the holder, for that is where it could hurt."""
        self.let_go(time.monotonic())
        victim = self.dice.choice(self.alive)
        with suppress(InfctlError):
            info = self.store.lock_info()
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
            self.stopped[victim.pid] = time.monotonic() + self.dice.uniform(self.lease, 4 * self.lease)

    def let_go(self, until: float) -> None:
        for pid in [pid for pid, moment in self.stopped.items() if moment <= until]:
            os.kill(pid, signal.SIGCONT)
            del self.stopped[pid]

    def end(self) -> None:
        self.let_go(float("inf"))
        for one in self.alive:
            one.kill()
            one.wait()

    def lines(self) -> list[str]:
        return [line for log in sorted(self.root.glob("log*")) for line in log.read_text().splitlines()]


def store_of(root: Path) -> Store:
    """Return the store that a stack in `root` would use."""
    return make_store(root, "default", os.environ, last_config(root))


def fight(
    root: Path, seed: int, lease: float, enough: Callable[[list[str]], bool], pauses: tuple[float, float] = (0.02, 0.15)
) -> tuple[list[str], list[str]]:
    """Return the chain of writes that the state holds, and the lines of all logs, of which there are `enough`.

    `pauses` are the least and the most seconds between two strikes.
    """
    with store_of(root).lock("test", "begin") as first:
        first.commit(replace(new_state("stack"), outputs={"chain": ()}))
    arena = Arena(root, seed, lease)
    try:
        for _ in range(PROCESSES):
            arena.start()
        while not enough(arena.lines()):
            time.sleep(arena.dice.uniform(*pauses))
            arena.strike()
        (root / "stop").touch()
        arena.let_go(float("inf"))
        for one in arena.alive:
            one.wait(timeout=60)
    finally:
        arena.end()
    loaded = store_of(root).load()
    assert loaded.state is not None
    chain = [*loaded.state.outputs["chain"], *(record.step for record in loaded.journal)]
    return chain, arena.lines()


def judge(chain: list[str], lines: list[str], also_refused: frozenset[str] = frozenset()) -> None:
    """Say what is wrong: an old token's write that was taken, or a new one's that was lost."""
    acknowledged = [line for line in lines if not line.startswith("refused")]
    refused = {line for line in lines if line.startswith("refused")}
    fences = [int(entry.partition(":")[0]) for entry in chain]
    assert fences == sorted(fences), "a write with an older token came after one with a newer"
    assert len(chain) == len(set(chain))
    assert not set(acknowledged) - set(chain), "an acknowledged write is lost"
    assert "refused lease-lost" in refused, "some came back too late"
    assert refused <= {"refused lease-lost", *also_refused}, "and nothing else went wrong"
