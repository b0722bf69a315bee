"""Owns one reading of a cluster: its nodes and what runs there, its version, what is installed, the target's namespace.

Each list is asked once, all side by side. What infctl may not see is left out, and `facts` say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from infctl.provider.values import Inventory, Values
from infctl_kubernetes.client import Api, Json
from infctl_kubernetes.errors import FORBIDDEN, ApiError
from infctl_kubernetes.labels import STACK, WORKSPACE
from infctl_kubernetes.nodes import products_of, read_places
from infctl_kubernetes.objects import Cluster, find_namespace

NODES, PODS, GROUPS, VERSION = "/api/v1/nodes", "/api/v1/pods", "/apis", "/version"
RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
# What infctl can use where it is installed, by the API group of its resources.
ADDITIONS: Mapping[str, str] = {
    "keda.sh": "KEDA",
    "gateway.networking.k8s.io": "Gateway API",
    "inference.networking.k8s.io": "Gateway API Inference Extension",
    "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    "serving.kserve.io": "KServe",
    "monitoring.coreos.com": "Prometheus operator",
}


def read_inventory(cluster: Cluster, resource: str, price: float | None, *, elastic: bool) -> Inventory:
    """Return what the cluster has. `resource` is what its nodes call a GPU; with `elastic` nodes nothing is too much,
    so no places are told. Raises ApiError, UnreachedError.
    """
    api = cluster.api
    asked: dict[str, Callable[[], Any]] = {
        "nodes": lambda: _if_allowed(api, NODES),
        "pods": lambda: _if_allowed(api, PODS, fieldSelector=RUNNING),
        "groups": lambda: [each["name"] for each in api.get(GROUPS).get("groups") or ()],
        "version": lambda: str(api.get(VERSION).get("gitVersion", "")),
        "namespace": lambda: find_namespace(cluster),
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        waiting = {name: pool.submit(ask) for name, ask in asked.items()}
        found = {name: future.result() for name, future in waiting.items()}
    nodes, pods = found["nodes"], found["pods"]
    labels = ((found["namespace"] or {}).get("metadata") or {}).get("labels") or {}
    facts: Values = {
        "version": found["version"],
        "installed": tuple(sorted(ADDITIONS[group] for group in found["groups"] if group in ADDITIONS)),
        "products": products_of(nodes or ()),
        "namespace": {
            "is_there": found["namespace"] is not None,
            "stack": labels.get(STACK, ""),
            "workspace": labels.get(WORKSPACE, ""),
        },
        "unseen": tuple(name for name in ("nodes", "pods") if found[name] is None),
    }
    if elastic or nodes is None or pods is None:
        return Inventory((), facts)
    return Inventory(read_places(nodes, pods, resource, price), facts)


def _if_allowed(api: Api, path: str, **query: Any) -> list[Json] | None:
    try:
        return list(api.pages(path, **query))
    except ApiError as failure:
        if failure.status == FORBIDDEN:
            return None
        raise
