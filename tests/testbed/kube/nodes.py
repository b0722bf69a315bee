"""Owns nodes with GPUs that are not there, as manifests: KWOK plays them, labelled as GPU feature discovery labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.testbed.gpus import PRODUCTS

PLAYED = "bed/played"  # the label of nodes that KWOK plays
FAMILIES = {"9.0": "hopper", "8.0": "ampere", "8.9": "ada-lovelace"}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


def node(
    name: str,
    gpus: str = "",
    *,
    shared: int = 1,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] | None = None,
    version: str = "1.36.3",
) -> dict[str, Any]:
    """Return a Node with `gpus` of one product: "h100x8", or "a100-40x8:3g.20gb,2g.10gb" (each cut so by MIG).

    `shared` is into how many time slices each is divided. With GPUs and no `taints` it has the usual one.
    Labels and resources are those of NVIDIA's GPU feature discovery 0.18 and its device plugin, MIG strategy "mixed".
    """
    known, resources = gpus_of(gpus, shared) if gpus else ({}, {})
    has = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110", **resources}
    own = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", PLAYED: "yes"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**own, **known, **(labels or {})}},
        "spec": {"taints": [dict(taint) for taint in ([TAINT] if gpus and taints is None else taints or [])]},
        "status": {
            "capacity": has,
            "allocatable": has,
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kubeletVersion": f"v{version}",
                **dict.fromkeys(("kernelVersion", "osImage", "containerRuntimeVersion", "kubeProxyVersion"), "kwok"),
                **dict.fromkeys(("machineID", "systemUUID", "bootID"), ""),
            },
        },
    }


def gpus_of(wanted: str, shared: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels and the resources of a node's GPUs, see node()."""
    found = re.fullmatch(r"([\w-]+)x(\d+)(?::([\w.,]+))?", wanted)
    assert found, f"{wanted!r} is no GPUs of one product"
    product, many, cut = PRODUCTS[found[1]], int(found[2]), found[3] or ""
    name = product.name.replace(" ", "-") + ("-SHARED" if shared > 1 else "")
    major, minor = product.compute.split(".")
    labels = {
        "gpu.present": "true",
        "gpu.product": name,
        "gpu.count": str(many),
        "gpu.memory": str(product.memory),
        "gpu.family": FAMILIES[product.compute],
        "gpu.compute.major": major,
        "gpu.compute.minor": minor,
        "gpu.replicas": str(shared),
        "gpu.sharing-strategy": "time-slicing" if shared > 1 else "none",
        "mig.capable": str(product.compute in ("8.0", "9.0")).lower(),
        "mig.strategy": "mixed" if cut else "none",
    }
    profiles = cut.split(",") if cut else []
    resources = {} if cut else {"nvidia.com/gpu": str(many * shared)}
    for profile in sorted(set(profiles)):
        count = str(profiles.count(profile) * many)
        resources[f"nvidia.com/mig-{profile}"] = count
        labels |= {f"mig-{profile}.count": count, f"mig-{profile}.product": f"{name}-MIG-{profile}"}
    return {f"nvidia.com/{label}": value for label, value in labels.items()}, resources


def is_as(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a live node is ready and still what it was made as."""
    conditions = live["status"].get("conditions", [])
    return (
        any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        and not live["spec"].get("unschedulable")
        and live["spec"].get("taints", []) == wanted["spec"]["taints"]
        and live["metadata"]["labels"].items() >= wanted["metadata"]["labels"].items()
        and live["status"]["allocatable"] == wanted["status"]["allocatable"]
    )
