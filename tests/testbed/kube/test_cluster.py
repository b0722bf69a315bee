"""The bed's Kubernetes itself: what a test of ours may rely on."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.kube.cluster import Cluster
from tests.testbed.kube.plane import BedCluster

pytestmark = pytest.mark.xdist_group("kube")
TOLERATED = [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def deployment(name: str, namespace: str, *, replicas: int = 1, gpus: int = 0, image: str = "example/engine:1") -> Any:
    limits = {"limits": {"nvidia.com/gpu": gpus}} if gpus else {}
    pod = {"tolerations": TOLERATED, "containers": [{"name": "engine", "image": image, "resources": limits}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def forwarded(plane: BedCluster, namespace: str, pod: str) -> int:
    """Return the status with which /health answers through a port that kubectl forwards."""
    argv = [*plane.command, f"--kubeconfig={plane.kubeconfig}", "port-forward", "-n", namespace, f"pod/{pod}", ":8000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        port = (
            running.stdout.readline().partition(" -> ")[0].rpartition(":")[2]
        )  # "Forwarding from 127.0.0.1:4 -> 8000"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as answer:
            running.terminate()
            return int(answer.status)


def until(true: Callable[[], Any], seconds: float = 100) -> Any:
    """Return the first answer that is true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)
    return found


def test_pods_that_want_gpus_get_as_many_as_there_are(plane: BedCluster, namespace: str) -> None:
    plane.add_node("gpu-9", "h200x8")
    wanted = deployment("chat", namespace, replicas=3, gpus=4)
    wanted["spec"]["template"]["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "NVIDIA-H200"}
    plane.apply(wanted)
    until(lambda: plane.get("deploy/chat", "-n", namespace)["status"].get("readyReplicas") == 2)
    pods = plane.get("pod", "-n", namespace)["items"]
    (waiting,) = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
    assert "Insufficient nvidia.com/gpu" in waiting["status"]["conditions"][0]["message"]


def test_images_do_what_their_names_say(plane: BedCluster, namespace: str) -> None:
    plane.apply(*(deployment(name, namespace, image=f"example/{name}:1") for name in ("missing", "crashing")))

    def reasons() -> set[str]:
        pods = plane.get("pod", "-n", namespace)["items"]
        each = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        return {status["state"].get("waiting", {}).get("reason") for status in each}

    until(lambda: reasons() == {"ImagePullBackOff", "CrashLoopBackOff"})


def test_pods_that_are_played_answer_as_engines(plane: BedCluster, namespace: str) -> None:
    plane.apply(deployment("chat", namespace, replicas=2))
    until(lambda: plane.get("deploy/chat", "-n", namespace)["status"].get("readyReplicas") == 2)
    first, second = plane.get("pod", "-n", namespace)["items"]
    plane.answers.say(second["status"]["podIP"], status=503, metrics="vllm:num_requests_waiting 7\n")
    through = f"/api/v1/namespaces/{namespace}/pods/{{}}:8000/proxy/{{}}"
    assert plane.kubectl("get", "--raw", through.format(first["metadata"]["name"], "health")) == "{}"
    of_second = through.format(second["metadata"]["name"], "{}")
    with pytest.raises(AssertionError, match="ended with 1"):
        plane.kubectl("get", "--raw", of_second.format("health"))
    plane.log("INFO: ready", "torch.OutOfMemoryError")
    said = plane.kubectl("logs", first["metadata"]["name"], "-n", namespace, "--tail=1")
    assert said == "torch.OutOfMemoryError\n"
    assert forwarded(plane, namespace, first["metadata"]["name"]) == 200
    assert plane.kubectl("get", "--raw", of_second.format("metrics")) == "vllm:num_requests_waiting 7\n"


def test_gpus_cut_by_mig_are_resources_of_their_own(plane: BedCluster) -> None:
    plane.add_node("gpu-9", "a100-40x8:3g.20gb,2g.10gb,2g.10gb")
    found = plane.get("node/gpu-9")
    assert found["status"]["allocatable"]["nvidia.com/mig-2g.10gb"] == "16"
    assert found["metadata"]["labels"]["nvidia.com/mig.strategy"] == "mixed"


def test_a_user_may_do_what_a_role_says_and_no_more(cluster: Cluster, namespace: str) -> None:
    ada, bob = cluster.user("ada", "team-a"), cluster.user("bob", "team-b")
    cluster.kubectl("create", "role", "viewer", "-n", namespace, "--verb=get,list", "--resource=pods")
    cluster.kubectl("create", "rolebinding", "team-a", "-n", namespace, "--role=viewer", "--group=team-a")
    cluster.kubectl("get", "pod", "-n", namespace, by=ada)
    assert '"bob" cannot list' in cluster.kubectl("get", "pod", "-n", namespace, by=bob, check=False)


def test_a_cluster_that_is_given_is_asked_as_any_user(plane: BedCluster, tmp_path: Path) -> None:
    given = Cluster(plane.kubeconfig, tmp_path, plane.command)
    said = json.loads(given.kubectl("auth", "whoami", "-o=json", by=given.user("ada", "team-a")))
    assert said["status"]["userInfo"]["username"] == "ada"
    assert "team-a" in said["status"]["userInfo"]["groups"]


def test_what_a_user_asks_is_written_down(plane: BedCluster) -> None:
    name = f"eve-{time.monotonic_ns()}"
    plane.kubectl("get", "pod", "-n", "default", by=plane.user(name), check=False)
    assert ("list", "/api/v1/namespaces/default/pods?limit=500") in plane.asked(name)


def test_a_service_account_is_known_by_its_token(cluster: Cluster, namespace: str) -> None:
    robot = cluster.account(namespace, "robot")
    whoami = cluster.kubectl("auth", "whoami", "-o=jsonpath={.status.userInfo.username}", by=robot)
    assert whoami == f"system:serviceaccount:{namespace}:robot"


def test_a_certificate_that_has_ended_lets_nobody_in(plane: BedCluster) -> None:
    assert "Unauthorized" in plane.kubectl("get", "pod", by=plane.user("late", days=0), check=False)


def test_definitions_of_others_are_served_unmodified(cluster: Cluster, namespace: str) -> None:
    cluster.load_crds("keda.sh", "gateway.networking.k8s.io", "inference.networking.k8s.io", "monitoring.coreos.com")
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "chat", "namespace": namespace},
        "spec": {"rules": [{"backendRefs": [{"name": "chat", "port": 8000, "weight": 90}]}]},
    }
    cluster.apply(route)
    cluster.kubectl("get", "scaledobject,httproute,inferencepool,podmonitor", "-n", namespace)
    route["spec"] = {"rules": [{"backendRefs": [{"name": "chat", "port": 8000, "weight": -1}]}]}
    with pytest.raises(AssertionError, match="greater than or equal to 0"):
        cluster.apply(route)


def test_what_is_written_stays_when_the_api_server_is_killed(plane: BedCluster, namespace: str) -> None:
    plane.kubectl("create", "configmap", "kept", "-n", namespace)
    plane.crash("apiserver")
    refused = plane.kubectl("get", "configmap", "kept", "-n", namespace, check=False)
    assert "refused" in refused
    plane.start()
    assert plane.get("configmap/kept", "-n", namespace)["metadata"]["name"] == "kept"


def test_a_frozen_api_server_takes_requests_and_answers_none(plane: BedCluster) -> None:
    plane.freeze("apiserver")
    try:
        said = plane.kubectl("get", "node", "--request-timeout=1s", check=False)
        assert "imeout" in said or "deadline exceeded" in said
    finally:
        plane.thaw("apiserver")
    assert json.loads(plane.kubectl("get", "--raw", "/version"))["gitVersion"] == "v1.36.3"
