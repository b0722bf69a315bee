"""What nodes have left, and which GPU they call theirs."""

from __future__ import annotations

from typing import Any

from infctl_kubernetes.nodes import products_of, read_places, requested

GIB = 1 << 30


def node(name: str, gpus: int = 8, *, ready: str = "True", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": "a", **labels}},
        "status": {
            "allocatable": {"cpu": "95500m", "memory": "100Gi", "nvidia.com/gpu": str(gpus)},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def pod(where: str, gpus: int = 0, memory: str = "", phase: str = "Running") -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    containers = [{"resources": {"limits": limits, "requests": {"memory": memory} if memory else {}}}]
    return {"spec": {"nodeName": where, "containers": containers}, "status": {"phase": phase}}


GKE: dict[str, Any] = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
KARPENTER: dict[str, Any] = {"karpenter.k8s.aws/instance-gpu-name": "h100"}
GFD: dict[str, Any] = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.memory": "81559"}


def test_what_pods_were_promised_is_not_free() -> None:
    (place,) = read_places(
        [node("n1", **GFD)], [pod("n1", 3, "10Gi"), pod("n1", 4, phase="Succeeded")], "nvidia.com/gpu", 2.5
    )
    assert (place.cpus, place.memory_total, place.memory_free, place.zone) == (95, 100 * GIB, 90 * GIB, "a")
    assert [device.taken for device in place.devices] == [True] * 3 + [False] * 5
    assert (place.devices[0].product, place.devices[7].memory_free) == ("NVIDIA H100 80GB HBM3", 81559 << 20)
    assert place.price == 2.5


def test_nodes_that_take_no_pods_are_no_places() -> None:
    cordoned = {**node("n2"), "spec": {"unschedulable": True}}
    assert read_places([node("n1", ready="False"), cordoned], [], "nvidia.com/gpu", None) == ()


def test_init_containers_count_where_they_ask_for_more() -> None:
    spec = {
        "containers": [{"resources": {"requests": {"memory": "1Gi"}}}, {"resources": {"requests": {"memory": "1Gi"}}}],
        "initContainers": [{"resources": {"requests": {"memory": "3Gi"}}}],
    }
    assert requested({"spec": spec}) == {"memory": 3 * GIB}


def test_products_are_known_by_the_labels_of_feature_discovery_and_of_clouds() -> None:
    nodes = [
        node("a", **GFD), node("b", **GFD), node("c", 8, **GKE),
        node("d", 8, **KARPENTER), node("e"),
    ]  # fmt: skip
    assert products_of(nodes) == (
        ("cloud.google.com/gke-accelerator", "nvidia-l4", "nvidia l4"),
        ("karpenter.k8s.aws/instance-gpu-name", "h100", "h100"),
        ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "NVIDIA H100 80GB HBM3"),
    )


def test_a_node_says_what_it_is_rented_as_and_how() -> None:
    labels = {
        "node.kubernetes.io/instance-type": "g6e.12xlarge", "topology.kubernetes.io/region": "us-east-1",
        "karpenter.sh/capacity-type": "spot",
    }  # fmt: skip
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "4", "memory": "1Gi"}}
    nodes = [{"metadata": {"name": name, "labels": said}, "status": ready} for name, said in (("a", labels), ("b", {}))]
    rented, own = read_places(nodes, (), "nvidia.com/gpu", None)
    assert (rented.instance, rented.region, rented.purchase) == ("g6e.12xlarge", "us-east-1", "spot")
    assert (own.instance, own.region, own.purchase) == ("", "", "owned")
