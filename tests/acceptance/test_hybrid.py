"""One stack on metal, a cluster and AWS: the rack first, the cloud for what it has no room for, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_aws import groups, left
from tests.acceptance.test_rack import infctl
from tests.testbed.aws.cloud import AMI_PARAMETER, REGION, Cloud
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.kube.plane import BedCluster
from tests.testbed.plugin import HostsOf

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(300)]
SERVE = "mkdir -p /tmp/www && echo fine >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"


def write_stack(
    folder: Path, replicas: int, host: DockerHost, cloud: Cloud | None, plane: BedCluster | None = None
) -> None:
    """Write the stack, with the cloud in it or not, and with a model for a cluster.

    No registry has the rack's image: its id is its digest.
    """
    image = f"busybox@{host.docker('image', 'inspect', '--format', '{{.Id}}', 'busybox:1').strip()}"
    targets: dict[str, Any] = {
        "rack": {"type": "docker", "hosts": [{"url": host.url, "name": "h"}], "proxy": {"image": "haproxy:3.0"}}
    }
    if cloud is not None:
        targets["burst"] = {
            "type": "aws", "region": REGION, "subnets": list(cloud.subnets()), "instance_types": ["g5.xlarge"],
            "ami": f"ssm:{AMI_PARAMETER}", "max_instances": 2,
        }  # fmt: skip
    chat = {
        "engine": "custom", "command": ["sh", "-c", SERVE], "port": 8080, "health": "/health", "image": image,
        "gpu": {"count": 1}, "replicas": replicas, "placement": {"order": list(targets)},
    }  # fmt: skip
    models = {"chat": chat}
    if plane is not None:
        reached = {"kubeconfig": str(plane.kubeconfig), "namespace": "hybrid"}
        targets["prod"] = {"type": "kubernetes", "node_selector": {"bed/played": "yes"}, **reached}
        serve = {"engine": "custom", "task": "custom", "image": f"registry.example/serve@sha256:{'0' * 64}"}
        models["tool"] = {**serve, "command": ["serve"], "health": "/health", "placement": {"order": ["prod"]}}
    stack = {"apiVersion": "infctl/v1", "name": "hybrid", "targets": targets, "models": models}
    (folder / "inference.yaml").write_text(json.dumps(stack))


def running(host: DockerHost) -> list[str]:
    return host.docker("ps", "-q", "--filter", "label=infctl.model=chat").split()


def test_the_cloud_takes_what_the_rack_has_no_room_for(hosts: HostsOf, cloud: Cloud, tmp_path: Path) -> None:
    [rack] = hosts(Make("old", gpus="h100x2"), loaded=("busybox:1", "haproxy:3.0"))
    write_stack(tmp_path, 3, rack, cloud)
    said = " ".join(infctl(tmp_path, "apply", "-auto-approve").split())
    assert "rack has room for 2 of 3 replicas, 1 to burst" in said
    first = running(rack)
    assert (len(first), groups(cloud)) == (2, {"hybrid-chat-r1": 1})
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")

    write_stack(tmp_path, 2, rack, None)
    infctl(tmp_path, "apply", "-auto-approve")
    assert (running(rack), left(cloud)) == (first, [])
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")


def test_metal_cluster_and_cloud_are_one_plan_and_one_apply(
    hosts: HostsOf, plane: BedCluster, cloud: Cloud, tmp_path: Path
) -> None:
    [rack] = hosts(Make("old", gpus="h100x2"), loaded=("busybox:1", "haproxy:3.0"))
    write_stack(tmp_path, 3, rack, cloud, plane)
    infctl(tmp_path, "apply", "-auto-approve")
    assert (len(running(rack)), groups(cloud)) == (2, {"hybrid-chat-r1": 1})
    found = json.loads(infctl(tmp_path, "status", "-json"))["models"]
    assert {model["name"]: model["ready"] for model in found} == {"chat": 3, "tool": 1}
    assert "No changes." in infctl(tmp_path, "apply", "-auto-approve")

    write_stack(tmp_path, 2, rack, None, plane)
    infctl(tmp_path, "apply", "-auto-approve")
    assert (len(running(rack)), left(cloud)) == (2, [])
    infctl(tmp_path, "destroy", "-auto-approve")
    assert running(rack) == []
