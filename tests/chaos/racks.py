"""Owns two Docker hosts as the ground that a stack stands on: what its file says there, and what really stands.

Each replica has a device and a model file of its own host, so that reservations and the carriers of files are made too.
Hosts are read through their own sockets, never through infctl. Knows nothing of when a run is killed.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker

from infctl_docker.proxy_book import BOOK, parse_book
from tests.chaos.stacks import Standing, Wishes
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

MAKES = (Make("old", gpus="h100x4"), Make("current", gpus="h100x4"))
IMAGES = ("busybox:1", "haproxy:3.0")
SERVE = "mkdir -p /tmp/www && cat /run/secrets/TOKEN {model} >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"
VOLUMES = ("infctl-models", "infctl-cache-")  # what hosts keep when a stack goes
Doc = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Racked:
    """These hosts, all of them the stack's own."""

    hosts: tuple[DockerHost, ...]

    @property
    def env(self) -> Mapping[str, str]:
        return {"HOME": str(self.hosts[0].bed.home)}

    def text(self, wishes: Wishes) -> str:
        named = [{"url": host.url, "name": host.name, "timeout": 3} for host in self.hosts]
        rack = {"type": "docker", "hosts": named, "proxy": {"image": "haproxy:3.0"}}
        models = {
            name: {
                "engine": "custom", "image": "busybox:1", "uri": "file:m.gguf", "gpu": {"count": 1}, "port": 8080,
                "command": ["sh", "-c", f": {wish.context}; {SERVE}"], "health": "/health", "replicas": wish.replicas,
                "env": {"TOKEN": "secret://token"},
            }
            for name, wish in wishes.items()
        }  # fmt: skip
        head = {"apiVersion": "infctl/v1", "name": "chaos", "targets": {"rack": rack}}
        return json.dumps({**head, "secrets": {"token": {"command": ["echo", "open sesame"]}}, "models": models})

    def expected(self, wishes: Wishes) -> list[str]:
        found: list[str] = []
        for host in self.hosts if wishes else ():
            found += [f'docker_{kind}.rack["{host.name}"]' for kind in ("network", "proxy")]
            found += [f'docker_route.{name}["rack/{host.name}"]' for name in wishes]
        for name, wish in wishes.items():
            found += [f'docker_container.{name}["rack/{slot}"]' for slot in range(wish.replicas)]
        return found

    def standing(self, folder: Path) -> Standing:
        del folder
        objects: dict[str, str] = {}
        twice, lost, strays = [], [], []
        for host, things in zip(self.hosts, self._each(lambda host: tuple(_things(host))), strict=True):
            for ident, address, stray, runs in things:
                if stray:
                    strays.append(f"{stray} on {host.name}")
                    continue
                if ident in objects:
                    twice.append(f"{address} ({ident}) on {host.name}")
                objects[ident] = address
                if not runs:
                    lost.append(f"{address} on {host.name}")
        return Standing(objects, tuple(twice), tuple(lost), tuple(strays))

    def wipe(self) -> bool:
        self._each(_wipe)
        return True

    def _each(self, do: Callable[[DockerHost], T]) -> list[T]:
        with ThreadPoolExecutor() as hands:
            return list(hands.map(do, self.hosts))


def take_rack(hosts: HostsOf) -> Racked:
    return Racked(hosts(*MAKES, loaded=IMAGES))


def _things(host: DockerHost) -> Iterator[tuple[str, str, str, bool]]:
    """Yield id, address, what it is instead where it is nobody's, and whether it runs, of all that is on a host."""
    with closing(daemon_of(host)) as daemon:
        listed = daemon.containers(all=True)
        for one in listed:
            labels = one["Labels"]
            mine = labels.get("infctl.id", "")
            yield mine, labels.get("infctl.address", ""), "" if mine else one["Names"][0], one["State"] == "running"
            if mine and labels["infctl.address"].startswith("docker_proxy."):
                yield from _routes(daemon, host, one["Id"])
        for one in daemon.networks(filters={"type": "custom"}):
            labels = one["Labels"] or {}
            mine = labels.get("infctl.id", "")
            yield mine, labels.get("infctl.address", ""), "" if mine else f"network {one['Name']}", True
        used = {mount.get("Name") for one in listed for mount in one["Mounts"]}
        for one in daemon.volumes()["Volumes"] or ():
            if not one["Name"].startswith(VOLUMES) and one["Name"] not in used:
                yield "", "", f"volume {one['Name']}", False


def _wipe(host: DockerHost) -> None:
    """Remove every container, network and volume that was made: quicker than to have them stopped in order."""
    with closing(daemon_of(host)) as daemon, ThreadPoolExecutor() as hands:
        made = [one["Id"] for one in daemon.containers(all=True)]
        list(hands.map(lambda ident: daemon.remove_container(ident, v=True, force=True), made))
        for network in daemon.networks(filters={"type": "custom"}):
            daemon.remove_network(network["Id"])
        for volume in daemon.volumes()["Volumes"] or ():
            daemon.remove_volume(volume["Name"], force=True)


def daemon_of(host: DockerHost) -> docker.APIClient:
    return docker.APIClient(base_url=f"unix://{host.socket}", version="1.41", timeout=60)


def _routes(daemon: docker.APIClient, host: DockerHost, proxy: str) -> Iterator[tuple[str, str, str, bool]]:
    chunks, _ = daemon.get_archive(proxy, f"/etc/infctl/{BOOK}")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        book = archive.extractfile(BOOK)
        assert book
        for ident, kept in parse_book(book.read()).routes.items():
            yield ident, kept.labels.address, "", _answers(host, kept.outputs["port"])


def _answers(host: DockerHost, port: int) -> bool:
    asked = host.beside(
        "curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/health"
    )
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "200"
