"""A stack on a real control plane whose nodes are played: made, scaled, replaced, refused, drifted, removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.testbed.kube.node import Node
from tests.testbed.kube.plane import BedCluster
from tests.testbed.registry import Registry

pytestmark = pytest.mark.xdist_group("kube")
HELLO = Path(__file__).resolve().parents[2] / "stacks" / "hello" / "models" / "hello.gguf"
INFCTL = str(Path(sys.executable).with_name("infctl"))
DIGEST = "@sha256:" + "0" * 64
IMAGE = f"registry.example/serve{DIGEST}"
DEPLOYMENT, SERVICE = 'kubernetes_deployment.chat["prod"]', 'kubernetes_service.chat["prod"]'


class Shop:
    """A stack of the model `chat` on one cluster, in a namespace that is not there yet."""

    def __init__(self, folder: Path, plane: BedCluster) -> None:
        self.folder, self.plane, self.namespace = folder, plane, f"shop-{uuid4().hex[:6]}"
        self.target: dict[str, Any] = {"node_selector": {"bed/played": "yes"}}

    def write(self, **model: Any) -> None:
        reached = {"kubeconfig": str(self.plane.kubeconfig), "namespace": self.namespace}
        target = {"type": "kubernetes", **reached, **self.target}
        usual = {"engine": "custom", "task": "custom", "image": IMAGE, "command": ["serve"], "health": "/health"}
        chat = {**usual, "timeouts": {"ready": "60s", "drain": "10s"}, **model}
        chat = {name: value for name, value in chat.items() if value is not None}
        doc = {"apiVersion": "infctl/v1", "name": "shop", "targets": {"prod": target}, "models": {"chat": chat}}
        (self.folder / "inference.yaml").write_text(json.dumps(doc))

    def run(self, *argv: str, code: int = 0, **env: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH", "INFCTL_INPUT"}}
        done = subprocess.run(
            [INFCTL, *argv],
            cwd=self.folder,
            env={**kept, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def steps(self) -> list[tuple[str, str]]:
        """Return what the next apply would do, to which kind of resource."""
        self.run("plan", "-out", "p")
        doc = json.loads(self.run("show", "-json", "p"))
        return [(step["do"], step["address"].partition(".")[0]) for step in doc["infctl"]["steps"]]

    def get(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.plane.get(kind, "-n", self.namespace, "-l", "infctl.io/id")["items"]
        return found


@pytest.fixture
def shop(tmp_path: Path, plane: BedCluster) -> Shop:
    made = Shop(tmp_path, plane)
    made.write()
    return made


def test_a_model_lives_and_ends_on_a_cluster(shop: Shop) -> None:
    said = shop.run("apply", "-auto-approve")
    assert "Apply complete! Resources: 5 added" in said
    assert f"http://shop-chat.{shop.namespace}.svc:8000/v1" in said
    assert "No changes" in shop.run("plan")
    (first,) = shop.get("deployment")
    (service,) = shop.get("service")
    assert service["spec"]["selector"] == {"infctl.io/id": first["metadata"]["labels"]["infctl.io/id"]}

    shop.write(replicas=3)
    assert shop.steps() == [("update", "kubernetes_deployment")]
    shop.run("apply", "p")
    assert [each["status"]["readyReplicas"] for each in shop.get("deployment")] == [3]
    assert json.loads(shop.run("status", "-json"))["models"][0]["ready"] == 3

    shop.write(replicas=3, env={"LEVEL": "2"})
    shop.run("apply", "-auto-approve")
    (second,) = shop.get("deployment")
    assert second["metadata"]["name"] == "shop-chat-r2"
    (service,) = shop.get("service")
    assert service["spec"]["selector"] == {"infctl.io/id": second["metadata"]["labels"]["infctl.io/id"]}
    assert "No changes" in shop.run("plan")

    shop.run("destroy", "-auto-approve")
    assert "NotFound" in shop.plane.kubectl("get", "namespace", shop.namespace, check=False)


def test_a_revision_that_never_answers_leaves_everything_as_it_was(shop: Shop) -> None:
    shop.run("apply", "-auto-approve")
    before = shop.get("deployment") + shop.get("service")
    shop.write(image=f"registry.example/crashing{DIGEST}")
    said = shop.run("apply", "-auto-approve", code=1)
    assert "it ended with exit code" in said
    after = shop.get("deployment") + shop.get("service")
    assert [each["metadata"]["uid"] for each in after] == [each["metadata"]["uid"] for each in before]
    assert after[1]["spec"]["selector"] == before[1]["spec"]["selector"]
    shop.write()
    assert "No changes" in shop.run("plan")


def test_what_the_cluster_would_refuse_is_said_in_the_plan(shop: Shop) -> None:
    shop.run("apply", "-auto-approve")
    name = "shop-kubernetes-service-account-chat-prod"
    shop.plane.kubectl("delete", "serviceaccount", name, "-n", shop.namespace)
    shop.plane.kubectl("create", "serviceaccount", name, "-n", shop.namespace)
    said = " ".join(shop.run("plan").split())
    assert 'Apply would be refused at kubernetes_service_account.chat["prod"]' in said
    assert "infctl did not make it" in said


def test_what_somebody_changes_of_ours_is_drift_and_what_others_add_is_none(shop: Shop) -> None:
    shop.run("apply", "-auto-approve")
    where = ("-n", shop.namespace)
    shop.plane.kubectl("annotate", "deployment/shop-chat-r1", "team=ours", *where)
    shop.plane.kubectl("set", "env", "deployment/shop-chat-r1", "ADDED=1", *where)
    assert "No changes" in shop.run("plan")
    shop.plane.kubectl("scale", "deployment/shop-chat-r1", "--replicas=4", *where)
    patch = '[{"op":"replace","path":"/spec/ports/0/port","value":81}]'
    shop.plane.kubectl("patch", "service/shop-chat", *where, "--type=json", "-p", patch)
    said = shop.run("drift")
    assert "replicas" in said
    shop.run("apply", "-auto-approve")
    assert "No changes" in shop.run("plan")
    assert [each["spec"]["replicas"] for each in shop.get("deployment")] == [1]


@pytest.mark.parametrize("point", [9, 14, 19, 24])
def test_a_run_that_is_killed_is_gone_on_with_and_makes_nothing_twice(point: int, shop: Shop) -> None:
    shop.run("apply", "-auto-approve", code=-9, INFCTL_FAULT=f"kill:{point}", INFCTL_LEASE="2")
    shop.run("apply", "-auto-approve", INFCTL_LEASE="2")
    assert "No changes" in shop.run("plan")
    assert [len(shop.get(kind)) for kind in ("deployment", "service", "serviceaccount", "pdb")] == [1, 1, 1, 1]


def test_a_lost_state_is_rebuilt_from_the_cluster(shop: Shop) -> None:
    shop.run("apply", "-auto-approve")
    for file in (shop.folder / ".infctl").rglob("state.*"):
        file.unlink()
    shop.run("state", "recover", "-auto-approve")
    assert "No changes" in shop.run("plan")


def test_a_real_engine_on_a_real_node_streams_through_its_address(shop: Shop, node: Node, registry: Registry) -> None:
    image = registry.push("llama:1", "ai/llama:7")
    node.host.sh("mkdir", "-p", "/srv/models")
    node.host.sh("tee", "/srv/models/hello.gguf", given=HELLO.read_bytes())
    shop.target = {"model_folders": {str(HELLO.parent): "/srv/models"}, "node_selector": {"bed/real": "yes"}}
    chat: dict[str, Any] = {"engine": "llama.cpp", "task": "generate", "uri": f"file:{HELLO}", "command": None}
    shop.write(**chat, image=image, health=None)
    shop.run("apply", "-auto-approve")
    (service,) = shop.get("service")
    url = f"http://{service['spec']['clusterIP']}:8000/v1/completions"
    body = json.dumps({"model": "chat", "prompt": "Once", "max_tokens": 4, "stream": True})
    # A node's proxy looks once a second; what it does not know yet it refuses.
    ask = ("curl", "-sSN", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", "-d", body, url)
    said = node.host.sh(*ask, "-H", "content-type: application/json")
    assert said.count("data: ") >= 4
    assert "[DONE]" in said

    shop.write(**chat, image=f"{image[:-4]}0000", health=None)
    said = shop.run("apply", "-auto-approve", code=1)
    assert "its image cannot be pulled" in said
    assert "data: " in node.host.sh(*ask, "-H", "content-type: application/json")

    shop.write(**chat, image=image, health=None, max_model_len=128)
    shop.run("apply", "-auto-approve")
    assert [each["metadata"]["name"] for each in shop.get("deployment")] == ["shop-chat-r3"]
    shop.run("rollback", "chat", "-auto-approve")
    assert "main: server is listening" in shop.run("logs", "chat") or "listening" in shop.run("logs", "chat")
    shop.run("destroy", "-auto-approve")
