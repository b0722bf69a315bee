"""Owns what the nodes of a cluster have: processors, memory and GPUs, what pods were promised of them, which product.

Pure: reads what the API server said of nodes and pods. Memory in bytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from infctl.provider.values import Device, Place, Purchase
from infctl_kubernetes.quantities import read_quantity

MIB = 1024**2
ZONE = "topology.kubernetes.io/zone"
GPU_MEMORY = "nvidia.com/gpu.memory"  # MiB: GPU feature discovery
# Who says which GPU a node has, the most exact first: NVIDIA's and AMD's feature discovery, GKE, EKS, Karpenter and the
# Cluster Autoscaler on AWS (their documentation of node labels).
PRODUCTS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-accelerator",
    "eks.amazonaws.com/instance-gpu-name",
    "karpenter.k8s.aws/instance-gpu-name",
    "k8s.amazonaws.com/accelerator",
)
INSTANCE, REGION = "node.kubernetes.io/instance-type", "topology.kubernetes.io/region"
# Whether a node may be taken away, as EKS, Karpenter, GKE and AKS label it (their documentation of node labels).
CAPACITY = (
    "eks.amazonaws.com/capacityType",
    "karpenter.sh/capacity-type",
    "cloud.google.com/gke-spot",
    "kubernetes.azure.com/scalesetpriority",
)
_SPOT = frozenset({"spot", "true"})
_OVER = frozenset({"Succeeded", "Failed"})

Doc = Mapping[str, Any]


def read_places(nodes: Iterable[Doc], pods: Iterable[Doc], resource: str, price: float | None) -> tuple[Place, ...]:
    """Return the nodes that take pods, with what is left of each. `resource` is what they call a GPU."""
    promised: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if node and (pod.get("status") or {}).get("phase") not in _OVER:
            promised[node].update(requested(pod))
    usable = (node for node in nodes if takes_pods(node))
    return tuple(_place(node, promised[node["metadata"]["name"]], resource, price) for node in usable)


def takes_pods(node: Doc) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    return ready and not (node.get("spec") or {}).get("unschedulable")


def requested(pod: Doc) -> dict[str, int]:
    """Return what a pod was promised: of its containers together, or of the one init container that asks for more."""
    spec = pod.get("spec") or {}
    all_at_once: Counter[str] = Counter()
    for container in spec.get("containers") or ():
        all_at_once.update(_requests(container))
    found = dict(all_at_once)
    for container in spec.get("initContainers") or ():
        for name, size in _requests(container).items():
            found[name] = max(found.get(name, 0), size)
    return found


def _requests(container: Doc) -> dict[str, int]:
    resources = container.get("resources") or {}
    said = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: int(read_quantity(size)) for name, size in said.items() if name != "cpu"}


def product_of(labels: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return the label that says which GPU a node has, its value, and the product in words; None where none does."""
    for label in PRODUCTS:
        if value := labels.get(label):
            return label, value, value.replace("-", " ").replace("_", " ")
    return None


def products_of(nodes: Iterable[Doc]) -> tuple[tuple[str, str, str], ...]:
    found = {product_of((node.get("metadata") or {}).get("labels") or {}) for node in nodes}
    return tuple(sorted(each for each in found if each is not None))


def _place(node: Doc, promised: Mapping[str, int], resource: str, price: float | None) -> Place:
    meta, has = node["metadata"], (node.get("status") or {}).get("allocatable") or {}
    memory = int(read_quantity(has.get("memory", 0)))
    labels = meta.get("labels") or {}
    return Place(
        meta["name"], max(1, int(read_quantity(has.get("cpu", 0)))), memory,
        min(memory, max(0, memory - promised.get("memory", 0))), _devices(node, promised, resource), price,
        zone=labels.get(ZONE, ""), priced="" if price is None else "price_per_gpu_hour of the target",
        purchase=_purchase(labels), instance=labels.get(INSTANCE, ""), region=labels.get(REGION, ""),
    )  # fmt: skip


def _purchase(labels: Mapping[str, str]) -> Purchase:
    """Return how a node is paid for: spot where its cloud says so, else owned, until a price says otherwise."""
    return "spot" if any(labels.get(name, "").lower() in _SPOT for name in CAPACITY) else "owned"


def _devices(node: Doc, promised: Mapping[str, int], resource: str) -> tuple[Device, ...]:
    """Return a device for each GPU that can be had. Which of them a pod has is the node's to know: the first are told
    to be taken.
    """
    meta = node["metadata"]
    labels = meta.get("labels") or {}
    named = product_of(labels)
    count = int(read_quantity(((node.get("status") or {}).get("allocatable") or {}).get(resource, 0)))
    memory = int(read_quantity(labels.get(GPU_MEMORY, 0))) * MIB
    taken = promised.get(resource, 0)
    return tuple(
        Device(
            index, f"{meta['name']}/{index}", named[2] if named else "", memory, 0 if index < taken else memory,
            taken=index < taken,
        )
        for index in range(count)
    )  # fmt: skip
