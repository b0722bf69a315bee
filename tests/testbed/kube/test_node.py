"""The real node of the bed's Kubernetes: what a test of ours may rely on."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.kube.node import Node
from tests.testbed.kube.plane import BedCluster
from tests.testbed.kube.test_cluster import deployment, until
from tests.testbed.registry import Registry

pytestmark = pytest.mark.xdist_group("kube")
HELLO = Path(__file__).resolve().parents[3] / "stacks" / "hello" / "models" / "hello.gguf"


def on_node(name: str, namespace: str, **fields: Any) -> Any:
    made = deployment(name, namespace, **fields)
    pod = made["spec"]["template"]["spec"]
    pod |= {"nodeSelector": {"bed/real": "yes"}, "terminationGracePeriodSeconds": 1}
    return made


def opened(url: str) -> str:
    """Return what is there, "" while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def status_of(plane: BedCluster, namespace: str, name: str) -> Any:
    """Return the status of the only container of a Deployment's only pod, {} before there is one."""
    pods = plane.get("pod", "-n", namespace, "-l", f"app={name}")["items"]
    return next((pod["status"].get("containerStatuses", [{}])[0] for pod in pods), {})


def test_llama_cpp_completes_a_text_in_a_pod(plane: BedCluster, node: Node, namespace: str) -> None:
    node.load("llama:1")
    node.host.sh("mkdir", "-p", "/srv/models")
    node.host.sh("tee", "/srv/models/hello.gguf", given=HELLO.read_bytes())
    wanted = on_node("hello", namespace, image="llama:1")
    pod = wanted["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "models", "hostPath": {"path": "/srv/models"}}]
    pod["containers"][0] |= {
        "imagePullPolicy": "Never",
        "args": ["-m", "/models/hello.gguf"],
        "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
    }
    plane.apply(wanted)
    until(lambda: plane.get("deploy/hello", "-n", namespace)["status"].get("readyReplicas") == 1)
    (pod,) = plane.get("pod", "-n", namespace)["items"]
    through = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}:8080/proxy/v1/completions"
    body = json.dumps({"prompt": "Once", "max_tokens": 4})
    said = json.loads(plane.kubectl("create", "--raw", through, "-f-", given=body))
    assert said["choices"][0]["text"]
    assert "stop processing" in plane.kubectl("logs", "deploy/hello", "-n", namespace)
    assert "llama-server" in plane.kubectl("exec", "deploy/hello", "-n", namespace, "--", "ps")


def test_a_service_answers_at_a_port_of_the_node_for_played_pods_too(
    plane: BedCluster, node: Node, namespace: str
) -> None:
    plane.apply(deployment("chat", namespace))
    ports = ("--port=80", "--target-port=8000")
    plane.kubectl("expose", "deploy/chat", "-n", namespace, "--type=NodePort", *ports)
    service = plane.get("service/chat", "-n", namespace)["spec"]
    until(lambda: opened(f"http://{node.host.address}:{service['ports'][0]['nodePort']}/health"))
    until(lambda: node.host.sh("curl", "-sf", f"http://{service['clusterIP']}/health", check=False))


def test_an_image_is_pulled_by_digest_and_a_missing_one_is_not(
    plane: BedCluster, node: Node, namespace: str, registry: Registry
) -> None:
    there = registry.push("busybox:1", "tools/box:7")
    for name, image in {"there": there, "gone": f"{there[:-4]}0000"}.items():
        wanted = on_node(name, namespace, image=image)
        wanted["spec"]["template"]["spec"]["containers"][0]["command"] = ["sleep", "900"]
        plane.apply(wanted)
    until(lambda: status_of(plane, namespace, "there").get("ready"))
    until(lambda: "not found" in str(status_of(plane, namespace, "gone")))


def test_a_pod_is_killed_for_its_memory(plane: BedCluster, node: Node, namespace: str) -> None:
    node.load("busybox:1")
    wanted = on_node("greedy", namespace, image="busybox:1")
    wanted["spec"]["template"]["spec"]["containers"][0] |= {
        "command": ["sh", "-c", "sleep 1; head -c 200000000 /dev/zero | tail"],
        "imagePullPolicy": "Never",
        "resources": {"limits": {"memory": "40Mi"}},
    }
    plane.apply(wanted)
    ended = until(lambda: status_of(plane, namespace, "greedy").get("lastState", {}).get("terminated"))
    assert ended["exitCode"] == 137


def test_gpus_of_the_node_are_given_to_as_many_pods_as_there_are(plane: BedCluster, node: Node, namespace: str) -> None:
    node.load("busybox:1")
    node.set_gpus("l4x2")
    wanted = on_node("chat", namespace, image="busybox:1", replicas=3, gpus=1)
    wanted["spec"]["template"]["spec"]["containers"][0] |= {
        "command": ["sleep", "900"],
        "imagePullPolicy": "Never",
    }
    plane.apply(wanted)
    until(lambda: plane.get("deploy/chat", "-n", namespace)["status"].get("readyReplicas") == 2)
    plane.well()
    node.up()
    found = plane.get("node/node-1")
    assert "nvidia.com/gpu" not in found["status"]["capacity"]
    assert "nvidia.com/gpu.product" not in found["metadata"]["labels"]


def test_a_power_cut_and_a_cut_cable_are_survived(plane: BedCluster, node: Node, namespace: str) -> None:
    node.host.crash()
    node.up()
    wanted = on_node("after", namespace, image="busybox:1")
    wanted["spec"]["template"]["spec"]["containers"][0] |= {"command": ["sleep", "900"], "imagePullPolicy": "Never"}
    node.load("busybox:1")
    plane.apply(wanted)
    until(lambda: status_of(plane, namespace, "after").get("ready"))
    node.host.partition()
    node.up()
    until(lambda: plane.kubectl("exec", "deploy/after", "-n", namespace, "--", "pwd", check=False) == "/\n")
