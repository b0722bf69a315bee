"""Owns a small stack on real Docker hosts for tests: wishes in, changes made as the executor would make them.

Ends everything it started. Knows nothing of plans or state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infctl.address import Address
from infctl.provider.protocol import Context
from infctl.provider.testbench import Bench, in_order
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Do,
    Observed,
    Probe,
    Scope,
    Spot,
    Template,
)
from infctl.secrets import Secret, SecretRef
from infctl_docker.config import RackTarget
from infctl_docker.kinds import CONTAINER
from infctl_docker.provider import DockerProvider
from tests.testbed.hosts import DockerHost

LINEAGE = "3f0c"
SERVE = 'mkdir -p /www && echo fine >/www/health && echo serving on "$PORT" && exec httpd -f -p "$PORT" -h /www'
PROXY_IMAGE = "haproxy:3.0"
IMAGES = ("busybox:1", PROXY_IMAGE)


def template(**more: Any) -> Template:
    """Return what a replica of busybox' web server runs: up at once, and small."""
    known: dict[str, Any] = {
        "engine": "custom", "engine_version": "", "model_uri": "", "model_sha256": "", "task": "custom",
        "image": "busybox:1", "command": ("sh", "-c", SERVE), "probe": Probe("http", "/health"),
    }  # fmt: skip
    return Template(**{**known, **more})


def wish(made: Template, revision: int = 1, *, slots: tuple[int, ...] = (0,), **more: Any) -> Deployment:
    known: dict[str, Any] = {"model": "tiny", "served_names": ("tiny",), "slots": slots}
    return Deployment(**{**known, **more}, revision=revision, template=made)


class Rack:
    """Hosts as one target, a handle on it, and what stands there by id: a Harness of the conformance kit."""

    ready_timeout = 30.0

    def __init__(self, root: Path, hosts: tuple[DockerHost, ...], **more: Any) -> None:
        self.hosts = hosts
        named = [{"url": host.url, "name": host.name, "timeout": 3} for host in hosts]
        self.config = RackTarget.model_validate({"hosts": named, "proxy": {"image": PROXY_IMAGE}, **more})
        secret = {"login": "reader:open sesame"}
        self.context = Context(
            "rack", "test", "default", LINEAGE, root, root / "data",
            secret=lambda name: Secret(secret[name]), key=lambda: b"k" * 32,
        )  # fmt: skip
        self._made: list[DockerProvider] = []
        self.bench = Bench(self, self.provider())

    # ---- what the kit asks for

    def provider(self) -> DockerProvider:
        self._made.append(DockerProvider(self.config, self.context))
        return self._made[-1]

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        spots = tuple(Spot(self.hosts[slot % len(self.hosts)].name) for slot in range(replicas))
        made = template(env={"REVISION": str(revision), **env})
        return wish(made, revision, slots=tuple(range(replicas)), spots=spots)

    def doomed(self, revision: int) -> Deployment | None:
        return wish(template(command=("sh", "-c", "echo error: no such model >&2; exit 3")), revision)

    def add_stranger(self) -> bool:
        labels = ("infctl.stack=test", f"infctl.lineage={LINEAGE}", "infctl.id=feed", "infctl.target=rack")
        said = [word for label in labels for word in ("--label", label)]
        self.hosts[0].docker("run", "-d", "--name", "test-tiny-r1-9", *said, "busybox:1", "sleep", "900")
        return True

    def break_place(self) -> int:
        lost = self.hosts[-1]
        hidden = sum(1 for seen in self.observe() if seen.place == lost.name)
        lost.partition()
        return hidden

    def mend_place(self) -> None:
        self.hosts[-1].heal()

    def close(self) -> None:
        self.mend_place()
        for host in self.hosts:
            host.clean()
        for provider in self._made:
            provider.close()

    # ---- what tests do

    def host(self, name: str) -> DockerHost:
        return next(host for host in self.hosts if host.name == name)

    def observe(self) -> tuple[Observed, ...]:
        reading = self.bench.provider.observe(Scope(LINEAGE, "test", "default"))
        assert not reading.unreadable
        return reading.value

    def replica(self) -> Observed:
        """Return the one replica that stands, as it is observed."""
        (seen,) = [seen for seen in self.observe() if seen.address.kind == CONTAINER]
        return seen

    def make(self, *wishes: Deployment) -> dict[Address, Change]:
        return self.bench.make(*wishes)

    def make_replicas(self, *wishes: Deployment) -> dict[Address, Change]:
        """Make networks and containers only: no proxies, no routes."""
        wants = [want for want in self.bench.lower(*wishes) if want.address.kind in {"docker_network", CONTAINER}]
        made: dict[Address, Change] = {}
        for want in in_order(tuple(wants)):
            made[want.address] = self.change(Do.CREATE, want)
            self.bench.do(made[want.address])
        return made

    def change(self, do: Do, want: Desired, **more: Any) -> Change:
        return replace(self.bench.change(do, want), **more)

    def container(self, seen: Observed) -> str:
        return str(seen.outputs["container"])
