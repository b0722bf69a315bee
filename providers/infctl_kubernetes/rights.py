"""Owns what infctl must be allowed on a cluster, as data and as the manifests that grant it. Pure.

No verb has a star. Secrets are written and never read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml

RBAC = "rbac.authorization.k8s.io/v1"
WRITE = ("get", "list", "create", "patch", "delete")


class Need(NamedTuple):
    """Verbs on a resource of an API group ("" is the core's)."""

    group: str
    resource: str
    verbs: tuple[str, ...]


NEEDS = (
    Need("apps", "deployments", WRITE),
    Need("", "services", WRITE),
    Need("", "serviceaccounts", WRITE),
    Need("policy", "poddisruptionbudgets", WRITE),
    Need("", "secrets", ("create", "patch")),
    Need("", "pods", ("get", "list")),
    Need("", "pods/log", ("get",)),
    Need("", "pods/proxy", ("get", "create")),
    Need("discovery.k8s.io", "endpointslices", ("list",)),
)
# To see what fits, and to have namespaces made; without the first the scheduler alone knows.
SIGHT = (Need("", "nodes", ("list",)), Need("", "pods", ("list",)))
NAMESPACES = Need("", "namespaces", ("get", "create", "patch", "delete"))


def manifests(namespace: str, *, makes_namespace: bool) -> str:
    """Return the Role of the target's namespace, and the ClusterRole for what is in none, as YAML to apply."""
    beyond = (*SIGHT, NAMESPACES) if makes_namespace else SIGHT
    docs = (
        {
            "apiVersion": RBAC,
            "kind": "Role",
            "metadata": {"name": "infctl", "namespace": namespace},
            "rules": _rules(NEEDS),
        },
        {
            "apiVersion": RBAC,
            "kind": "ClusterRole",
            "metadata": {"name": f"infctl-{namespace}"},
            "rules": _rules(beyond),
        },
    )
    bind = (
        f"# kubectl create rolebinding infctl -n {namespace} --role=infctl --user=WHO\n"
        f"# kubectl create clusterrolebinding infctl-{namespace} --clusterrole=infctl-{namespace} --user=WHO\n"
    )
    return yaml.safe_dump_all(docs, sort_keys=False, default_flow_style=None) + bind


def _rules(needs: Iterable[Need]) -> list[dict[str, Any]]:
    return [{"apiGroups": [each.group], "resources": [each.resource], "verbs": list(each.verbs)} for each in needs]
