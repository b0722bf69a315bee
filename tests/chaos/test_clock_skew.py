"""Two machines whose clocks are two hours apart run infctl on the same Docker hosts, in turn and at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infctl.provider.values import Share
from infctl_docker.promises import DEVICES, FENCE, FOR, LEASE, LINEAGE, read_shares, write_shares
from infctl_docker.reserve import LEASE_SECONDS, PREFIX
from tests.chaos.clocks import build_clock, clock_env, set_clock
from tests.chaos.racks import Racked, daemon_of, take_rack
from tests.chaos.stacks import NOTHING, Wish, Wishes
from tests.testbed.gpus import uuid_of
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf
from tests.tiny_gguf import write_tiny_gguf

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
HOUR = 3_600  # seconds: longer than a reservation holds
GPUS = 4  # of each host
PATIENCE = 120.0  # seconds; a busy machine
CHAT = {"chat": Wish()}


@dataclass
class Machine:
    """A machine that infctl runs on, under a clock of its own. What it starts ends with the test."""

    clock: Path
    library: Path
    rack: Racked
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, folder: Path, *argv: str) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "providers")))
        process = subprocess.Popen(
            [sys.executable, "-m", "infctl.cli.main", *argv],
            cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**env, **clock_env(self.library, self.clock), "PYTHONPATH": paths},
        )  # fmt: skip
        self.started.append(process)
        return process

    def begin(self, folder: Path, wishes: Wishes) -> subprocess.Popen[str]:
        """Start the apply of `wishes`, which wait their turn; none: a destroy."""
        if wishes:
            stack = json.loads(self.rack.text(wishes))
            (folder / "inference.yaml").write_text(json.dumps({**stack, "name": folder.name}))
        return self.start(folder, "apply" if wishes else "destroy", "-auto-approve", f"-lock-timeout={PATIENCE:.0f}s")

    def run(self, folder: Path, *argv: str, code: int = 0) -> str:
        return end(self.start(folder, *argv), code)

    def apply(self, folder: Path, wishes: Wishes) -> str:
        return end(self.begin(folder, wishes))


def end(process: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    return said


@pytest.fixture
def rack(hosts: HostsOf) -> Racked:
    return take_rack(hosts)


@pytest.fixture
def machine(tmp_path: Path, rack: Racked) -> Iterator[Callable[[int], Machine]]:
    """Return `machine(seconds)`: one whose clock is that far from the hosts'."""
    library, made = build_clock(tmp_path), list[Machine]()

    def make(seconds: int) -> Machine:
        clock = tmp_path / f"clock{len(made)}"
        set_clock(clock, seconds)
        made.append(Machine(clock, library, rack))
        return made[-1]

    yield make
    for process in (process for each in made for process in each.started):
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Return `folder(name)`: a folder with a model file, for a stack of this name."""

    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        write_tiny_gguf(tmp_path / name / "m.gguf")
        return tmp_path / name

    return make


def test_one_stack_is_changed_by_machines_two_hours_apart(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    ahead, behind, stack = machine(HOUR), machine(-HOUR), folder("turns")
    ahead.apply(stack, CHAT)
    assert "No changes." in behind.run(stack, "plan", "-detailed-exitcode")
    wishes = {"chat": Wish(1024)}
    at_once = [each.begin(stack, wishes) for each in (behind, ahead)]
    said = [end(process) for process in at_once]
    assert sorted("No changes." in each for each in said) == [False, True], said
    seen = rack.standing(stack)  # the addresses of both hosts answer: one of them through the other's proxy
    assert sorted(seen.objects.values()) == sorted(rack.expected(wishes))
    assert (seen.lost, seen.strays, seen.twice) == ((), (), ())
    assert "No changes." in ahead.run(stack, "plan", "-detailed-exitcode")
    behind.apply(stack, NOTHING)
    assert not rack.standing(stack).objects


def test_two_stacks_at_once_get_no_device_twice(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    pairs = [(machine(HOUR), folder("ahead")), (machine(-HOUR), folder("behind"))]
    wishes = {"chat": Wish(replicas=2)}
    for one, stack, process in [(one, stack, one.begin(stack, wishes)) for one, stack in pairs]:
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode:  # the other one was quicker, and it says so
            assert "promised to others" in said, said
            one.apply(stack, wishes)
    held = [each for host in rack.hosts for each in devices_of(host)]
    assert len(held) == len(set(held)) == 2 * 2
    assert not rack.standing(pairs[0][1]).strays
    for one, stack in pairs:
        assert "No changes." in one.run(stack, "plan", "-detailed-exitcode")


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_the_hosts_clock_says_how_long_a_reservation_holds(
    seconds: int, machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    one, stack = machine(seconds), folder("guest")
    live = [reserve_all(host, LEASE_SECONDS) for host in rack.hosts]
    (stack / "inference.yaml").write_text(rack.text(CHAT))
    assert "error[no-room]" in one.run(stack, "plan", code=1)
    for host, ident in zip(rack.hosts, live, strict=True):
        with closing(daemon_of(host)) as daemon:
            daemon.remove_container(ident)
            dead = reserve_all(host, 0)
            made = daemon.inspect_container(dead)["Created"][:19]
            while daemon.info()["SystemTime"][:19] <= made:  # a whole second of its own clock
                pass
    one.apply(stack, CHAT)
    assert sum(len(devices_of(host)) for host in rack.hosts) == 1


def reserve_all(host: DockerHost, lease: int) -> str:
    """Return the container by which a stranger's run reserved every GPU of a host, for `lease` seconds."""
    shares = write_shares([Share(uuid_of(number), 0) for number in range(GPUS)])
    labels = {DEVICES: shares, FOR: "stranger-1", LINEAGE: "stranger", FENCE: "1", LEASE: str(lease)}
    with closing(daemon_of(host)) as daemon:
        return str(daemon.create_container("busybox:1", ["true"], name=f"{PREFIX}{uuid_of(0)}-0", labels=labels)["Id"])


def devices_of(host: DockerHost) -> list[tuple[str, str]]:
    """Return what the running containers of a host were given of its GPUs."""
    with closing(daemon_of(host)) as daemon:
        return [(host.name, share.device) for one in daemon.containers() for share in read_shares(one["Labels"])]
