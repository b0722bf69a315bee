"""Two machines whose clocks are two hours apart run infctl on the same Docker hosts, in turn and at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
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
from tests.chaos.stacks import Wish, Wishes
from tests.testbed.gpus import uuid_of
from tests.testbed.hosts import DockerHost, Make
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

    def begin(self, folder: Path, command: str = "apply") -> subprocess.Popen[str]:
        """Start what changes a stack; it waits its turn."""
        return self.start(folder, command, "-auto-approve", f"-lock-timeout={PATIENCE:.0f}s")

    def run(self, folder: Path, *argv: str, code: int = 0) -> str:
        return end(self.start(folder, *argv), code)


def end(process: subprocess.Popen[str], code: int = 0) -> str:
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    return said


@pytest.fixture
def rack(hosts: HostsOf) -> Racked:
    return take_rack(hosts)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[[int], Machine]]:
    """Return `machine(seconds)`: one whose clock is that far from the hosts'."""
    library, made = build_clock(tmp_path), list[Machine]()

    def make(seconds: int) -> Machine:
        clock = tmp_path / f"clock{len(made)}"
        set_clock(clock, seconds)
        made.append(Machine(clock, library))
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


def write(folder: Path, rack: Racked, wishes: Wishes) -> None:
    """Let the file of the stack that is called after its folder ask for `wishes`."""
    (folder / "inference.yaml").write_text(json.dumps({**json.loads(rack.text(wishes)), "name": folder.name}))


def test_one_stack_is_changed_by_machines_two_hours_apart(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    ahead, behind, stack = machine(HOUR), machine(-HOUR), folder("turns")
    write(stack, rack, CHAT)
    end(ahead.begin(stack))
    assert "No changes." in behind.run(stack, "plan", "-detailed-exitcode")
    wishes = {"chat": Wish(1024)}
    write(stack, rack, wishes)
    at_once = [each.begin(stack) for each in (behind, ahead)]
    said = [end(process) for process in at_once]
    assert sorted("No changes." in each for each in said) == [False, True], said
    seen = rack.standing(stack)  # the addresses of both hosts answer: one of them through the other's proxy
    assert sorted(seen.objects.values()) == sorted(rack.expected(wishes))
    assert (seen.lost, seen.strays, seen.twice) == ((), (), ())
    assert "No changes." in ahead.run(stack, "plan", "-detailed-exitcode")
    end(behind.begin(stack, "destroy"))
    assert not rack.standing(stack).objects


def test_two_stacks_at_once_get_no_device_twice(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    pairs = [(machine(HOUR), folder("ahead")), (machine(-HOUR), folder("behind"))]
    for _, stack in pairs:
        write(stack, rack, {"chat": Wish(replicas=2)})
    for one, stack, process in [(one, stack, one.begin(stack)) for one, stack in pairs]:
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode:  # the other one was quicker, and it says so
            assert "promised to others" in said, said
            end(one.begin(stack))
    held = [each for host in rack.hosts for each in devices_of(host)]
    assert len(held) == len(set(held)) == 2 * 2
    assert not rack.standing(pairs[0][1]).strays
    for one, stack in pairs:
        assert "No changes." in one.run(stack, "plan", "-detailed-exitcode")


def test_a_reservation_holds_by_the_hosts_clock_whoever_is_ahead(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    stack = folder("guest")
    for host in rack.hosts:
        reserve_all(host, LEASE_SECONDS)
    write(stack, rack, CHAT)
    assert "error[no-room]" in machine(HOUR).run(stack, "plan", code=1)


def test_a_reservation_is_void_by_the_hosts_clock_whoever_is_behind(
    machine: Callable[[int], Machine], folder: Callable[[str], Path], rack: Racked
) -> None:
    stack = folder("guest")
    for host in rack.hosts:
        dead = reserve_all(host, 0)
        with closing(daemon_of(host)) as daemon:
            made = daemon.inspect_container(dead)["Created"][:19]
            while daemon.info()["SystemTime"][:19] <= made:  # a whole second of its own clock
                time.sleep(0.1)
    write(stack, rack, CHAT)
    end(machine(-HOUR).begin(stack))
    assert sum(len(devices_of(host)) for host in rack.hosts) == 1


@pytest.mark.parametrize(("days", "words"), [(-9, "certificate is not yet valid"), (9, "certificate has expired")])
def test_a_clock_by_which_a_certificate_does_not_hold_is_named(
    days: int, words: str, machine: Callable[[int], Machine], folder: Callable[[str], Path], hosts: HostsOf
) -> None:
    (host,), stack = hosts(Make("current", tcp="tls")), folder("guest")
    rack = {"type": "docker", "hosts": [{"url": host.tcp_url, "tls": str(host.bed.authority.folder)}]}
    text = {"apiVersion": "infctl/v1", "name": stack.name, "targets": {"rack": rack}}
    (stack / "inference.yaml").write_text(json.dumps(text))
    said = machine(days * 24 * HOUR).run(stack, "plan", code=1)
    assert words in said
    assert "set the clock that is wrong" in said


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
