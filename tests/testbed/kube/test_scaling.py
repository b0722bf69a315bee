"""Prometheus and KEDA of the bed: what a test of autoscaling may rely on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.kube.plane import BedCluster
from tests.testbed.kube.prometheus import Prometheus
from tests.testbed.kube.test_cluster import deployment, until

pytestmark = pytest.mark.xdist_group("kube")
WAITING = "sum(vllm:num_requests_waiting)"


def played_pod(plane: BedCluster, namespace: str) -> str:
    """Return the address of the first pod of a new Deployment "engine"."""
    plane.apply(deployment("engine", namespace))
    until(lambda: plane.get("deploy/engine", "-n", namespace)["status"].get("readyReplicas") == 1)
    return str(plane.get("pod", "-n", namespace)["items"][0]["status"]["podIP"])


def test_prometheus_scrapes_what_a_played_pod_says(
    plane: BedCluster, namespace: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    address = played_pod(plane, namespace)
    plane.answers.say(address, metrics="vllm:num_requests_waiting 7\n")
    prometheus.scrape({f"{address}:8000": {"model": "chat"}})
    (found,) = until(lambda: prometheus.query("vllm:num_requests_waiting"))
    assert (found["metric"]["model"], found["value"][1]) == ("chat", "7")
    rules = tmp_path / "rules.yml"
    rules.write_text(f"groups: [{{name: g, rules: [{{record: 'a:b', expr: '{WAITING}'}}]}}]")
    subprocess.run(["promtool", "check", "rules", rules], check=True, capture_output=True)


def test_keda_scales_by_what_prometheus_says_down_to_zero_and_back(
    keda: BedCluster, namespace: str, prometheus: Prometheus
) -> None:
    address = played_pod(keda, namespace)
    keda.apply(deployment("chat", namespace), scaled("chat", namespace, prometheus.url))
    prometheus.scrape({f"{address}:8000": {}})

    def scaled_to(waiting: int, replicas: int) -> None:
        keda.answers.say(address, metrics=f"vllm:num_requests_waiting {waiting}\n")
        until(lambda: keda.get("deploy/chat", "-n", namespace)["spec"]["replicas"] == replicas)

    scaled_to(23, 5)
    scaled_to(0, 0)
    scaled_to(9, 2)


def scaled(name: str, namespace: str, server: str) -> Any:
    query = {"serverAddress": server, "query": WAITING, "threshold": "5", "activationThreshold": "0"}
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"name": name},
            "minReplicaCount": 0,
            "maxReplicaCount": 6,
            "pollingInterval": 1,
            "cooldownPeriod": 3,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour}},
            "triggers": [{"type": "prometheus", "metricType": "AverageValue", "metadata": query}],
        },
    }
