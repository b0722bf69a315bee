"""Prints what an apply of many containers costs, as a ratio against the daemons' own create and start of equal ones.

    python3 benchmarks/docker_apply.py [-containers N] [-hosts N] [-runs N] [-rtt MS] [-docker old|current]

As root, from the repository, with infctl installed: real hosts of tests/testbed. Each run applies a stack of N replicas
of a small engine (`infctl apply`, from its start to its end: plan, networks, gates, addresses), keeps what inspects say
of them, destroys it, and has the same daemons create and start containers from these very bodies, by bare requests to
their sockets and with the number of requests at a time that suits them best. Hosts and infctl share this machine's
processors, so that all that infctl needs itself counts; ratios are medians over the runs. Where the machine has other
work, the ratio of processor time says more than that of the clock.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.pool import Pool

INFCTL = str(Path(sys.executable).with_name("infctl"))
SERVE = "mkdir -p /tmp/www && echo fine >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"
AT_ONCE = 2, 4, 8  # requests at a time to one daemon: each is tried, the best one counts
OURS = json.dumps({"label": ["infctl.model=chat"]})


class Wish(NamedTuple):
    """A container to be made: where, its name, the body of its create, and the options of its network."""

    host: DockerHost
    name: str
    body: Mapping[str, Any]
    wire: Mapping[str, str]


class Unix(http.client.HTTPConnection):
    """A connection to a daemon's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def send_json(self, method: str, path: str, body: object = None) -> Any:
        given = b"" if body is None else json.dumps(body).encode()
        self.request(method, path, given, {"Content-Type": "application/json"})
        answer = self.getresponse()
        said = answer.read()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise SystemExit(f"{method} {path}: {said.decode()}")
        return json.loads(said or b"null")


def infctl(folder: Path, *argv: str) -> tuple[float, list[str]]:
    """Return the seconds it took and the lines it said."""
    started = time.perf_counter()
    done = subprocess.run([INFCTL, *argv], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - started, done.stdout.splitlines()


def write_stack(folder: Path, hosts: Sequence[DockerHost], replicas: int) -> None:
    folder.mkdir(exist_ok=True)
    model = {"engine": "custom", "image": "busybox:1", "replicas": replicas, "port": 8080, "health": "/health"}
    rack = {"type": "docker", "hosts": [host.url for host in hosts], "proxy": {"image": "haproxy:3.0"}}
    stack = {"apiVersion": "infctl/v1", "name": "bench", "targets": {"rack": rack}}
    stack["models"] = {"chat": {**model, "command": ["sh", "-c", SERVE]}}
    (folder / "inference.yaml").write_text(json.dumps(stack))


def read_wishes(hosts: Sequence[DockerHost]) -> list[Wish]:
    """Return what would make the replicas that stand now once more."""
    wishes = []
    for host in hosts:
        daemon = Unix(host.socket)
        for one in daemon.send_json("GET", f"/containers/json?all=1&filters={quote(OURS)}"):
            doc = daemon.send_json("GET", f"/containers/{one['Id']}/json")
            network = doc["HostConfig"]["NetworkMode"]
            config = {key: value for key, value in doc["Config"].items() if key not in {"Hostname", "Domainname"}}
            ends: Any = {"EndpointsConfig": {network: {}}}
            body = {**config, "HostConfig": doc["HostConfig"], "NetworkingConfig": ends}
            wire = daemon.send_json("GET", f"/networks/{network}")["Options"]
            wishes.append(Wish(host, doc["Name"].removeprefix("/"), body, wire))
    return wishes


def make_all(wishes: Sequence[Wish], at_once: int) -> float:
    """Create and start; return the seconds. Each host is asked `at_once` things at a time."""

    def work(share: Sequence[Wish]) -> None:
        if share:
            daemon = Unix(share[0].host.socket)
            for wish in share:
                made = daemon.send_json("POST", f"/containers/create?name={wish.name}", wish.body)
                daemon.send_json("POST", f"/containers/{made['Id']}/start")

    by_host: dict[str, list[Wish]] = {}
    for wish in wishes:
        by_host.setdefault(wish.host.name, []).append(wish)
    shares = [one[n::at_once] for one in by_host.values() for n in range(at_once)]
    started = time.perf_counter()
    with ThreadPoolExecutor(len(shares)) as each:
        list(each.map(work, shares))
    return time.perf_counter() - started


def bare(wishes: Sequence[Wish], at_once: int) -> tuple[float, float]:
    """Return the seconds and the processor seconds of the daemons alone; what they made is removed again."""
    hosts = tuple({wish.host.name: wish.host for wish in wishes}.values())
    for host in hosts:
        wish = next(wish for wish in wishes if wish.host is host)
        network = {"Name": wish.body["HostConfig"]["NetworkMode"], "Driver": "bridge", "Options": wish.wire}
        Unix(host.socket).send_json("POST", "/networks/create", network)
    busy = processor_seconds(hosts)
    taken = make_all(wishes, at_once)
    busy = processor_seconds(hosts) - busy
    for host in hosts:
        host.sh("sh", "-c", "docker ps -aq | xargs -r -P 8 -n 10 docker rm -fv >/dev/null; docker network prune -f",
                seconds=600)  # fmt: skip
    return taken, busy


def read_events(lines: Sequence[str]) -> tuple[float, float]:
    """Return the seconds that an apply took from its first step to its last, and those of its mean gate."""
    began: dict[str, float] = {}
    gates, times = [], []
    for line in lines:
        event = json.loads(line)
        at = datetime.fromisoformat(event["@timestamp"]).timestamp()
        address = event.get("hook", {}).get("resource", {}).get("addr", "")
        if event["type"] == "run_start" or address:
            times.append(at)
        if event["@message"].endswith("waiting for an answer"):
            began[address] = at
        elif event["type"] == "gate_pass":
            gates.append(at - began[address])
    return times[-1] - times[0], statistics.mean(gates)


def processor_seconds(hosts: Sequence[DockerHost]) -> float:
    """Return what all processes of the hosts have used so far, those that ended with them."""
    spaces = {Path(f"/proc/{host.beside()[1].partition('=')[2]}/ns/pid").readlink() for host in hosts}
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if (process / "ns" / "pid").readlink() in spaces:
                ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure_one(hosts: Sequence[DockerHost], folder: Path, asked: argparse.Namespace) -> tuple[float, float]:
    """Return what an apply takes over what the daemons alone take, by the clock and by processor time."""
    for host in hosts:
        host.delay(asked.rtt / 2) if asked.rtt else host.heal()
    busy = processor_seconds(hosts)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours, said = infctl(folder, "apply", "-auto-approve", "-json")
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = processor_seconds(hosts) - busy
    steps, gate = read_events(said)
    wishes = read_wishes(hosts)
    infctl(folder, "destroy", "-auto-approve", "-parallelism=20")
    for host in hosts:
        host.heal()
    bare_each = {at_once: bare(wishes, at_once) for at_once in AT_ONCE}
    best = min(bare_each, key=lambda at_once: bare_each[at_once])
    theirs, theirs_busy = bare_each[best]
    cpu = own.ru_utime + own.ru_stime - used.ru_utime - used.ru_stime
    print(
        f"apply {ours:6.2f} s ({len(wishes) / ours:4.1f}/s; its steps {steps:.2f} s, a gate {gate:.2f} s; processors "
        f"busy {busy:.1f} s on the hosts and {cpu:.1f} s for infctl)   bare create and start, {best} at a time on each "
        f"host, {theirs:6.2f} s ({len(wishes) / theirs:4.1f}/s; {theirs_busy:.1f} s)   {ours / theirs:.2f}x by the "
        f"clock, {(busy + cpu) / theirs_busy:.2f}x by processor time",
        flush=True,
    )
    return ours / theirs, (busy + cpu) / theirs_busy


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker_apply.py", description=__doc__)
    parser.add_argument("-containers", type=int, default=100)
    parser.add_argument("-hosts", type=int, default=1)
    parser.add_argument("-runs", type=int, default=3)
    parser.add_argument("-rtt", type=float, default=0)
    parser.add_argument("-docker", default="current")
    asked = parser.parse_args()
    bed = Bed()
    os.environ["HOME"] = str(bed.home)
    try:
        hosts = Pool(bed).take([Make(asked.docker, max_startups="100")] * asked.hosts, ["busybox:1", "haproxy:3.0"])
        print(f"{asked.containers} containers on {asked.hosts} hosts, {asked.rtt:g} ms round trip", flush=True)
        folder = bed.folder / "bench"
        write_stack(folder, hosts, asked.containers)
        ratios = [measure_one(hosts, folder, asked) for _ in range(asked.runs)]
        print(
            f"apply of {asked.containers} containers {statistics.median(clock for clock, _ in ratios):6.2f}x  the "
            "daemons' own create and start of equal ones; by processor time "
            f"{statistics.median(used for _, used in ratios):.2f}x"
        )
    finally:
        bed.close()


if __name__ == "__main__":
    main()
