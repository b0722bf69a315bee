"""Prints what reading Docker hosts over SSH costs, as ratios against baselines measured in the same run.

    python3 benchmarks/docker_refresh.py [-containers N] [-rtt MS] [-hosts N] [-runs N] [-docker old|current]

As root, from the repository: real hosts of tests/testbed, their cables delayed. `list` is one GET of
/containers/json?all=1; `refresh` is that and an inspect of each container, found from the list (cold) or known from
state (warm). Baselines: one raw list call on the same warm connection, OpenSSH's `ssh host true`, and docker-py; of
many hosts the slowest one alone, and the same requests on a bare TCP socket to each daemon, all at once: what the
daemons and the cables of this one machine take, which on real hosts is nobody's. Ratios are medians over the runs.
"""

from __future__ import annotations

import argparse
import gc
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from docker_apply import processor_seconds

from infctl_docker.errors import HostDown
from infctl_docker.hosts import Fleet, Host, HostConfig
from tests.testbed.bed import Bed
from tests.testbed.disk import PLAIN_PORT
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.pool import Pool

LIST = "/containers/json?all=1"
COLD = """
import json, sys
from infctl_docker.hosts import Host, HostConfig
host = Host(HostConfig.model_validate(sys.argv[1]))
host.read([f"/containers/{one['Id'][:12]}/json" for one in host.ask(sys.argv[2])])
"""


def seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def row(name: str, ours: Sequence[float], base: Sequence[float], against: str) -> None:
    ratio = statistics.median(a / b for a, b in zip(ours, base, strict=True))
    print(
        f"{name:<52} {statistics.median(ours):8.3f} s {statistics.median(base):8.3f} s {ratio:6.2f}x  {against}",
        flush=True,
    )


def fill(host: DockerHost, count: int) -> None:
    """Create containers, not started: what is read of them is as large."""
    host.sh(
        "sh", "-c",
        f"seq 1 {count} | xargs -P 4 -I% docker create --name c% --label infctl.id=% --label infctl.stack=rack "
        "-e MODEL=m -p 127.0.0.1::8080 busybox:1 sleep 900",
    )  # fmt: skip


def refresh(host: Host, known: list[str]) -> None:
    """Read a host as a plan does: the list, and what is known from state in the same breath; then what is new."""
    answers = host.read([LIST, *(f"/containers/{one}/json" for one in known)])
    listed = [one["Id"][:12] for one in answers[0].json()]
    host.read([f"/containers/{one}/json" for one in listed if one not in set(known)])


def raw_list(host: Host) -> None:
    """One list call on a channel of its own, as a client that keeps only the connection does it."""
    held, _ = host._way.take()  # noqa: SLF001  # nobody but a benchmark wants it
    held.close()
    host.read((LIST,))


def docker_py(url: str, ids: list[str]) -> float:
    """Return the seconds that docker-py takes for the same on its warm connection."""
    import docker  # noqa: PLC0415

    client = docker.APIClient(base_url=url)
    client.containers(all=True)
    return seconds(lambda: [client.containers(all=True), *(client.inspect_container(one) for one in ids)])


def measure_one(bed: Bed, real: DockerHost, runs: int, rtt: float) -> None:
    host = Host(HostConfig.model_validate(real.url))
    ids = [one["Id"][:12] for one in host.ask(LIST)]
    refresh(host, ids)
    real.delay(rtt / 2)
    refresh(host, ids)
    asks = (
        partial(raw_list, host),
        partial(host.read, (LIST,)),
        partial(refresh, host, ids),
        partial(refresh, host, []),
    )
    on_new, on_warm, known, unknown = zip(*([seconds(ask) for ask in asks] for _ in range(runs)), strict=True)
    row("refresh, ids known from state", known, on_new, "raw list call, warm connection, new channel")
    row("refresh, ids known from state", known, on_warm, "raw list call, warm channel")
    row("refresh, ids only in the list", unknown, on_new, "raw list call, warm connection, new channel")
    row("refresh, ids only in the list", unknown, on_warm, "raw list call, warm channel")
    few = ids[:20]
    some = partial(host.read, [LIST, *(f"/containers/{one}/json" for one in few)])
    row("list and 20 inspects", [seconds(some)], [docker_py(real.url, few)], "docker-py, warm")
    host.close()
    ssh = ["ssh", "-F", str(bed.home / ".ssh" / "config"), f"root@{real.address}", "true"]
    true = [seconds(lambda: subprocess.run(ssh, check=True)) for _ in range(runs)]
    cold = [sys.executable, "-c", COLD, real.url, LIST]
    row(
        "refresh, cold: a process from start to end",
        [seconds(lambda: subprocess.run(cold, check=True)) for _ in range(runs)],
        true,
        "ssh host true",
    )
    asked = [sys.executable, "-c", COLD.rpartition("host.read(")[0] + "host.ask(sys.argv[2])", real.url, LIST]
    row(
        "list, cold: a process from start to end",
        [seconds(lambda: subprocess.run(asked, check=True)) for _ in range(runs)],
        true,
        "ssh host true",
    )


def settle(reals: Sequence[DockerHost]) -> None:
    """Wait, a minute at most, until daemons that were just started and filled use less than a tenth of a processor."""
    used = processor_seconds(reals)
    for _ in range(30):
        time.sleep(2)
        before, used = used, processor_seconds(reals)
        if used - before < 0.2:
            return


def measure_fleet(reals: Sequence[DockerHost], runs: int, rtt: float) -> None:
    """All hosts at once, on warm connections, each with a daemon of its own."""
    hosts = tuple(Host(HostConfig(url=real.url, name=real.name)) for real in reals)
    fleet = Fleet(hosts)
    ids = {
        name: [one["Id"][:12] for one in _found(listed)] for name, listed in fleet.each(lambda h: h.ask(LIST)).items()
    }
    bare = Bare([(real, ids[real.name]) for real in reals])
    settle(reals)
    for real in reals:
        real.delay(rtt / 2)

    def refresh_all() -> None:
        fleet.each(lambda host: refresh(host, ids[host.name]))

    measured = []
    for _ in range(runs + 1):
        alone = max(seconds(partial(refresh, host, ids[host.name])) for host in hosts)
        measured.append((alone, seconds(refresh_all), seconds(bare.read)))
    alones, togethers, bares = zip(*measured[1:], strict=True)  # the first warms up
    name = f"refresh of {len(hosts)} hosts side by side, warm"
    row(name, togethers, alones, "the slowest of them alone")
    row(name, togethers, bares, "bare sockets to their daemons, all at once")
    fleet.close()
    bare.close()


class Bare:
    """The requests of a refresh on one plain TCP connection to each daemon; answers are counted, not read."""

    def __init__(self, asked: Sequence[tuple[DockerHost, list[str]]]) -> None:
        self._texts = {}
        for real, ids in asked:
            paths = [LIST, *(f"/containers/{one}/json" for one in ids)]
            wire = socket.create_connection((real.address, PLAIN_PORT))
            self._texts[wire] = "".join(f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n" for path in paths).encode()
        self._sizes = {wire: _count(wire, text) for wire, text in self._texts.items()}

    def read(self) -> None:
        left = dict(self._sizes)
        with selectors.DefaultSelector() as ready:
            for wire, text in self._texts.items():
                wire.sendall(text)
                ready.register(wire, selectors.EVENT_READ, wire)
            while any(left.values()):
                for key, _ in ready.select():
                    left[key.data] -= len(key.data.recv(1 << 20))

    def close(self) -> None:
        for wire in self._texts:
            wire.close()


def _count(wire: socket.socket, text: bytes) -> int:
    """Return the bytes that answer these requests: what comes until nothing more does."""
    wire.settimeout(2)
    wire.sendall(text)
    count = 0
    with suppress(TimeoutError):
        while data := wire.recv(1 << 20):
            count += len(data)
    return count


def _found(listed: Any) -> list[Any]:
    if isinstance(listed, HostDown):
        raise listed
    return list(listed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker_refresh.py", description=__doc__)
    parser.add_argument("-containers", type=int, default=200)
    parser.add_argument("-rtt", type=float, default=100)
    parser.add_argument("-hosts", type=int, default=20)
    parser.add_argument("-runs", type=int, default=5)
    parser.add_argument("-docker", default="old")
    asked = parser.parse_args()
    gc.disable()  # as every plan has it
    bed = Bed()
    os.environ["HOME"] = str(bed.home)
    try:
        make = Make(asked.docker, max_startups="100")
        pool = Pool(bed)
        (first,) = pool.take([make], ["busybox:1"])
        version = first.docker("version", "-f", "{{.Server.Version}}").strip()
        print(f"{asked.containers} containers, {asked.rtt:g} ms round trip, Docker {version}")
        fill(first, asked.containers)
        measure_one(bed, first, asked.runs, asked.rtt)
        pool.drop(first)
        reals = pool.take([replace(make, tcp="plain")] * asked.hosts, ["busybox:1"])
        with ThreadPoolExecutor(4) as each:
            list(each.map(lambda real: fill(real, 10), reals))
        measure_fleet(reals, asked.runs, asked.rtt)
    finally:
        bed.close()


if __name__ == "__main__":
    main()
