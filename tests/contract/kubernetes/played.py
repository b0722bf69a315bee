"""Owns deployments whose pods KWOK plays and the bed answers for, and a provider that makes them. Tests nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infctl.provider.protocol import Context
from infctl.provider.values import Deployment, Probe, Template, Values
from infctl_kubernetes.provider import KubernetesProvider
from tests.testbed.kube.cluster import Cluster

IMAGE = "registry.example/serve@sha256:" + "0" * 64
CRASHING = "registry.example/crashing@sha256:" + "0" * 64  # KWOK plays what its name says
PORT = 8000  # one of those at which the bed answers
CONFIG: Values = {
    "context": "", "kubeconfig": "", "namespace": "default", "node_selector": {"bed/played": "yes"}, "tolerations": (),
    "gpu_resource": "nvidia.com/gpu", "image_pull_secrets": (), "model_folders": {}, "cpus": 0.0, "run_as_user": None,
    "elastic_nodes": False, "price_per_gpu_hour": None,
}  # fmt: skip


def context_in(folder: Path, stack: str = "kit") -> Context:
    return Context("prod", stack, "default", f"lineage-{folder.name}"[-40:].strip("-_"), folder, folder / "data")


def provider_of(cluster: Cluster, context: Context, **config: Any) -> KubernetesProvider:
    return KubernetesProvider({**CONFIG, "kubeconfig": str(cluster.kubeconfig), **config}, context)


def serving(revision: int = 1, replicas: int = 1, *, env: Mapping[str, Any] | None = None, **more: Any) -> Deployment:
    """Return a deployment of the model `tiny`; `more` are fields of its template."""
    usual: dict[str, Any] = {"image": IMAGE, "command": ("serve",), "memory": 1 << 20, **more}
    template = Template(
        "custom", "", "", "", "custom", port=PORT, probe=Probe("http", "/health"),
        env={"REVISION": str(revision), **(env or {})}, **usual,
    )  # fmt: skip
    return Deployment("tiny", revision, template, tuple(range(replicas)), ("tiny",), port=80)
