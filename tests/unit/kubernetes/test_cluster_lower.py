"""What is wanted of a cluster, in its own resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Desired, Probe, Ref, TargetWant, Template
from infctl.secrets import SecretRef
from infctl_kubernetes.lower import Estate, lower, service_name
from infctl_kubernetes.pod import Grounds

IMAGE = "vllm@sha256:0"
TEMPLATE = Template(
    "vllm", "1", "hf://acme/chat", "", "generate", IMAGE, ("--port", "{port}", "--model", "{model}"), gpus=2,
    container={"download": True, "arguments_only": True, "cache": "/cache", "env": {"HOME": "/cache"}},
    env={"LOG": "", "HF_TOKEN": SecretRef("hf", "env")}, probe=Probe("completions", "/v1/completions", "chat"),
)  # fmt: skip
ESTATE = Estate("acme", "default", "models", ours=True, grounds=Grounds())
H100 = ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", "NVIDIA H100 80GB HBM3")
L40S = ("nvidia.com/gpu.product", "NVIDIA-L40S", "NVIDIA L40S")


def lowered(estate: Estate = ESTATE, **more: Any) -> dict[str, Desired]:
    wish = Deployment("chat", 3, replace(TEMPLATE, **more), (0, 1), ("chat",), port=80)
    return {str(want.address): want for want in lower(TargetWant("prod", (wish,)), estate)}


def pod(estate: Estate = ESTATE, **more: Any) -> dict[str, Any]:
    return dict(lowered(estate, **more)['kubernetes_deployment.chat["prod"]'].values["pod"])


def test_a_model_is_a_deployment_its_account_budget_and_service_in_a_namespace_of_ours() -> None:
    made = lowered()
    assert list(made) == [
        "kubernetes_namespace.prod", 'kubernetes_service_account.chat["prod"]',
        'kubernetes_deployment.chat["prod"]', 'kubernetes_disruption_budget.chat["prod"]',
        'kubernetes_service.chat["prod"]',
    ]  # fmt: skip
    replicas = made['kubernetes_deployment.chat["prod"]']
    assert (replicas.values["replicas"], replicas.revision, replicas.values["gpus"]) == (2, 3, 2)
    assert replicas.values["namespace"] == Ref(made["kubernetes_namespace.prod"].address, "name")
    assert replicas.values["secrets"] == {"HF_TOKEN": SecretRef("hf", "env")}
    service = made['kubernetes_service.chat["prod"]'].values
    assert (service["name"], service["port"]) == ("acme-chat", 80)
    assert service["backends"] == (Ref(replicas.address, "selector"),)


def test_a_namespace_of_others_is_used_and_not_wanted() -> None:
    made = lowered(replace(ESTATE, ours=False))
    assert "kubernetes_namespace.prod" not in made
    assert {want.values["namespace"] for want in made.values()} == {"models"}


def test_nothing_wanted_is_nothing() -> None:
    assert lower(TargetWant("prod"), ESTATE) == ()


def test_the_pod_has_the_engine_as_it_was_resolved_and_no_secret() -> None:
    (engine,) = pod()["containers"]
    assert (engine["image"], engine["args"]) == (IMAGE, ("--port", "8000", "--model", "acme/chat"))
    assert "command" not in engine
    assert engine["env"] == ({"name": "HOME", "value": "/cache"}, {"name": "LOG"}, {"name": "PORT", "value": "8000"})
    assert engine["resources"] == {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}
    assert [mount["mountPath"] for mount in engine["volumeMounts"]] == ["/dev/shm", "/cache"]  # noqa: S108
    assert engine["readinessProbe"]["httpGet"]["path"] == "/health"
    assert engine["securityContext"]["capabilities"] == {"drop": ("ALL",)}
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["terminationGracePeriodSeconds"] == 125


def test_without_gpus_memory_is_asked_for_and_limited() -> None:
    (engine,) = pod(gpus=0, memory=100 << 20, command=("serve",), container={}, model_uri="")["containers"]
    assert engine["resources"] == {"requests": {"memory": "100Mi"}, "limits": {"memory": "200Mi"}}
    assert engine["command"] == ("serve",)
    assert "tolerations" not in pod(gpus=0)


def test_a_larger_model_has_longer_to_start() -> None:
    small, large = (
        pod(container={"download": True, "model_bytes": size})["containers"][0] for size in (0, 500 * 10**9)
    )
    assert small["startupProbe"]["failureThreshold"] * 5 == 1800
    assert large["startupProbe"]["failureThreshold"] * 5 == 1800 + 10_000


def test_a_product_is_a_label_of_nodes_in_their_own_spelling() -> None:
    estate = replace(ESTATE, grounds=Grounds(products=(H100, L40S)))
    (term,) = pod(estate, gpu_product="H100")["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert term["matchExpressions"] == ({"key": H100[0], "operator": "In", "values": (H100[1],)},)
    with pytest.raises(ProviderError, match="No node of prod has a B200") as caught:
        pod(estate, gpu_product="B200")
    assert "NVIDIA L40S" in caught.value.diagnostics[0].detail


def test_what_the_target_says_of_all_pods_is_in_them() -> None:
    grounds = Grounds(
        node_selector={"pool": "gpu"}, tolerations=({"key": "spot", "operator": "Exists", "value": "", "effect": ""},),
        pull_secrets=("login",), cpus=1.5, user=1000,
    )  # fmt: skip
    found = pod(replace(ESTATE, grounds=grounds))
    assert found["nodeSelector"] == {"pool": "gpu"}
    assert found["tolerations"][0] == {"key": "spot", "operator": "Exists"}
    assert found["imagePullSecrets"] == ({"name": "login"},)
    assert found["containers"][0]["resources"]["requests"]["cpu"] == "1500m"
    assert found["securityContext"]["runAsUser"] == 1000


def test_files_come_from_folders_that_every_node_has_or_not_at_all() -> None:
    local: dict[str, Any] = {"model_uri": "file:/srv/m/a.gguf", "container": {}}
    estate = replace(ESTATE, grounds=Grounds(folders={"/srv/m": "/mnt/models"}))
    found = pod(estate, **local)
    assert found["containers"][0]["command"][-1] == "/models/a.gguf"
    assert found["volumes"][1]["hostPath"] == {"path": "/mnt/models", "type": "Directory"}
    with pytest.raises(ProviderError, match="cannot be brought into a pod"):
        pod(**local)
    with pytest.raises(ProviderError, match="a part of a GPU"):
        pod(gpu_fraction=0.5)


def test_a_service_keeps_a_name_that_dns_allows() -> None:
    assert service_name("acme", "staging", "chat") == "acme-staging-chat"
    long = service_name("a" * 40, "default", "b" * 40)
    assert len(long) == 63
    assert long != service_name("a" * 40, "default", "b" * 39 + "c")
