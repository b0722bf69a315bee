"""Owns a stack of one small model on given Docker hosts, whose replicas tell who they are. Tests nothing by itself."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.stack import Stack
from tests.testbed.hosts import DockerHost

SERVE = "mkdir -p /tmp/www && hostname >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"


@dataclass(frozen=True)
class Racked:
    """The model `chat` on these hosts, named h0, h1, ...; `stack` is its folder and the command in it."""

    stack: Stack
    hosts: tuple[DockerHost, ...]

    def write(self, **model: Any) -> None:
        """Write the stack's file; `model` are fields of the model besides or instead of the usual ones."""
        named = [{"url": host.url, "name": f"h{number}", "timeout": 3} for number, host in enumerate(self.hosts)]
        rack = {"type": "docker", "hosts": named, "proxy": {"image": "haproxy:3.0"}}
        usual = {"engine": "custom", "image": "busybox:1", "command": ["sh", "-c", SERVE], "port": 8080}
        chat = {**usual, "health": "/health", **model}
        doc = {"apiVersion": "infctl/v1", "name": "shop", "targets": {"rack": rack}, "models": {"chat": chat}}
        (self.stack.folder / "inference.yaml").write_text(json.dumps(doc))

    def replicas(self) -> list[list[str]]:
        """Return the ids of the replicas that run on each host: also what each replica calls itself."""
        shown = ("ps", "--no-trunc", "--filter", "label=infctl.model=chat", "--format", "{{.ID}} {{.Names}}")
        told = [host.docker(*shown).splitlines() for host in self.hosts]
        return [[line.split()[0][:12] for line in lines if "-chat-r" in line] for lines in told]

    def revisions(self) -> list[int]:
        """Return the revision of each replica in state."""
        things = self.stack.state()["resources"]
        return [thing["revision"] for thing in things if thing["address"].startswith("docker_container.")]

    def answers(self) -> list[str]:
        """Return what is answered at each host's address of the model."""
        doc = json.loads(self.stack.run("output", "-json").out)
        return [ask(host, url) for host, url in zip(self.hosts, doc["chat.urls"]["value"]["rack"], strict=True)]


def ask(host: DockerHost, url: str) -> str:
    """Return the answer to somebody on the host itself."""
    asked = host.beside("curl", "-sS", "--max-time", "10", url.removesuffix("/v1") + "/health")
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def rack_in(folder: Path, hosts: tuple[DockerHost, ...], **model: Any) -> Racked:
    racked = Racked(Stack(folder), hosts)
    racked.write(**model)
    return racked
