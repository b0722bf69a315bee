"""Owns what stands behind the pods that KWOK plays: one server on this machine that has all their addresses, and the
deployments whose replicas it answers for. Tests nothing by itself.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infctl.provider.protocol import Context
from infctl.provider.values import Deployment, Probe, Template, Values
from infctl_kubernetes.provider import KubernetesProvider
from tests.needs import need_root
from tests.testbed.kube.cluster import Cluster
from tests.testbed.kube.plane import BedCluster

IMAGE = "registry.example/serve@sha256:" + "0" * 64
CRASHING = "registry.example/crashing@sha256:" + "0" * 64  # KWOK plays what its name says
CONFIG: Values = {
    "context": "", "kubeconfig": "", "namespace": "default", "node_selector": {}, "tolerations": (),
    "gpu_resource": "nvidia.com/gpu", "image_pull_secrets": (), "model_folders": {}, "cpus": 0.0, "run_as_user": None,
    "elastic_nodes": False, "price_per_gpu_hour": None,
}  # fmt: skip


@dataclass
class Engines:
    """All engines at once: what was asked of which pod's address, and what they answer."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    metrics: str = ""


@contextmanager
def engines_of(plane: BedCluster) -> Iterator[Engines]:
    """Give this machine the addresses of the pods, and a server on all of them."""
    need_root()
    subprocess.run(["ip", "route", "replace", "local", f"10.79.{plane.bed.number}.0/24", "dev", "lo"], check=True)
    found = Engines(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.connection.getsockname()[0], self.path))
            said = found.metrics.encode() if self.path == "/metrics" else b"ok"
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104  -- the pods' addresses come and go
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def context_in(folder: Path, stack: str = "kit") -> Context:
    return Context("prod", stack, "default", f"lineage-{folder.name}"[-40:].strip("-_"), folder, folder / "data")


def provider_of(cluster: Cluster, context: Context, **config: Any) -> KubernetesProvider:
    return KubernetesProvider({**CONFIG, "kubeconfig": str(cluster.kubeconfig), **config}, context)


def serving(
    port: int, revision: int = 1, replicas: int = 1, *, env: Mapping[str, Any] | None = None, **more: Any
) -> Deployment:
    """Return a deployment of the model `tiny`, whose replicas listen on `port`; `more` are fields of its template."""
    usual: dict[str, Any] = {"image": IMAGE, "command": ("serve",), "memory": 1 << 20, **more}
    template = Template(
        "custom", "", "", "", "custom", port=port, probe=Probe("http", "/health"),
        env={"REVISION": str(revision), **(env or {})}, **usual,
    )  # fmt: skip
    return Deployment("tiny", revision, template, tuple(range(replicas)), ("tiny",), port=80)
