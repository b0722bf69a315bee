"""Owns what a replica's pod is in the cluster's words: a template in, the spec of a pod out, without its secrets. Pure.

Every list is a tuple, every quantity in the form that the API server keeps, so that what is read back is equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from os.path import normpath
from pathlib import PurePosixPath
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Template, Values
from infctl.secrets import SecretRef
from infctl_kubernetes.labels import ID, MANAGED_BY, MANAGER
from infctl_kubernetes.quantities import write_bytes, write_cpus

ENGINE = "engine"  # the container's name
PORT, PORT_NAME = 8000, "http"  # where an engine listens unless it says otherwise, and what Services call that
MODELS = "/models"
HEALTH = "/health"
SHARED_MEMORY = 8 << 30  # bytes of /dev/shm for engines on GPUs: NCCL and PyTorch workers talk through it
HEADROOM = 2  # the limit of a replica without GPUs, in multiples of what it needs: our estimate is none to be killed by
LEAST_LIMIT = 64 << 20  # bytes
LEAVING = 5  # seconds between a pod's end being known and SIGTERM: until then proxies still send requests
START, LOAD_RATE = 1800, 50_000_000  # seconds to start in any case, and bytes of a model read in each more
EVERY = 5  # seconds between two looks at a pod's health
HOST = "kubernetes.io/hostname"
_TOP = PurePosixPath("/")


@dataclass(frozen=True, slots=True)
class Grounds:
    """What holds for all pods of a target, from its config. `products` are the labels that nodes have for their GPUs:
    (label, value, product); `root` is the folder where relative paths start.
    """

    gpu_resource: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    pull_secrets: Sequence[str] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    root: PurePosixPath = _TOP
    cpus: float = 0.0
    user: int | None = None
    products: Sequence[tuple[str, str, str]] = ()


def pod_spec(wish: Deployment, grounds: Grounds, nodes: Sequence[tuple[str, tuple[str, ...]]]) -> Values:
    """Return the spec of a pod. `nodes` are the labels, with their values, of the nodes that have what it asks for (one
    is enough), () for any.

    Raises ProviderError where the model's files cannot be had in a pod.
    """
    template = wish.template
    volumes, mounts = _volumes(template, grounds)
    security: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if grounds.user is not None:
        security |= {"runAsNonRoot": True, "runAsUser": grounds.user, "fsGroup": grounds.user}
    spec: dict[str, Any] = {
        "containers": (_engine(template, grounds, mounts),),
        "volumes": volumes,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": LEAVING + ceil(wish.drain_timeout),
        "securityContext": security,
        "tolerations": _tolerations(template, grounds),
        "topologySpreadConstraints": (
            {
                "maxSkew": 1,
                "topologyKey": HOST,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {MANAGED_BY: MANAGER}},
                "matchLabelKeys": (ID,),  # of one revision
            },
        ),
    }
    if grounds.node_selector:
        spec["nodeSelector"] = dict(grounds.node_selector)
    if grounds.pull_secrets:
        spec["imagePullSecrets"] = tuple({"name": name} for name in grounds.pull_secrets)
    if nodes:
        required = {"nodeSelectorTerms": tuple({"matchExpressions": (_is_in(*each),)} for each in nodes)}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {name: value for name, value in spec.items() if value != ()}


def _is_in(label: str, values: tuple[str, ...]) -> Values:
    return {"key": label, "operator": "In", "values": values}


def port_of(template: Template) -> int:
    return template.port or PORT


def health_path(template: Template) -> str:
    """Return the path under which an engine says that it is well, without a model being asked."""
    if template.probe.kind == "http":
        return template.probe.path
    own: str = template.container.get("health_path", HEALTH)
    return own if template.engine != "custom" else "/v1/models"


def _engine(template: Template, grounds: Grounds, mounts: tuple[Values, ...]) -> dict[str, Any]:
    more = template.container
    words = tuple(_filled(word, template, grounds) for word in template.command)
    told = {"args" if more.get("arguments_only") else "command": words} if words else {}
    rights: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": bool(more.get("read_only")),
        "capabilities": {"drop": ("ALL",), **({"add": tuple(more["caps"])} if more.get("caps") else {})},
    }
    asked = {"path": health_path(template), "port": PORT_NAME, "scheme": "HTTP"}
    probe = {"httpGet": asked, "periodSeconds": EVERY, "timeoutSeconds": EVERY}
    starting = START + ceil(int(more.get("model_bytes", 0)) / LOAD_RATE)
    made: dict[str, Any] = {
        "name": ENGINE,
        "image": template.image,
        **told,
        "env": tuple(_variable(*each) for each in sorted(environment(template).items())),
        "ports": ({"name": PORT_NAME, "containerPort": port_of(template), "protocol": "TCP"},),
        "resources": _resources(template, grounds),
        "volumeMounts": mounts,
        "startupProbe": {**probe, "failureThreshold": ceil(starting / EVERY)},
        "readinessProbe": {**probe, "failureThreshold": 2},
        "livenessProbe": {**probe, "timeoutSeconds": 30, "periodSeconds": 30, "failureThreshold": 6},
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVING}}},
        "securityContext": rights,
    }
    return {name: value for name, value in made.items() if value not in ((), {})}


def environment(template: Template) -> dict[str, str]:
    """Return the environment but for the model's secrets."""
    own = {name: str(value) for name, value in template.env.items() if not isinstance(value, SecretRef)}
    return {"PORT": str(port_of(template)), **template.container.get("env", {}), **own}


def _variable(name: str, value: str) -> Values:
    return {"name": name, "value": value} if value else {"name": name}  # which is how an empty one is kept


def _filled(word: str, template: Template, grounds: Grounds) -> str:
    for placeholder, meant in (("{port}", str(port_of(template))), ("{gpu_share}", "1")):
        word = word.replace(placeholder, meant)
    return word.replace("{model}", _model(template, grounds)[0]) if "{model}" in word else word


def _model(template: Template, grounds: Grounds) -> tuple[str, str]:
    """Return what {model} stands for, and the folder of the node that is mounted for it, "" for none.

    Raises ProviderError where a pod cannot have the files.
    """
    uri = template.model_uri
    if not uri or template.container.get("download"):
        return uri.partition("://")[2] or uri, ""
    path = PurePosixPath(normpath(grounds.root / PurePosixPath(uri.removeprefix("file:").removeprefix("//"))))
    for here, there in sorted(grounds.folders.items(), key=lambda each: -len(each[0])):
        folder = normpath(grounds.root / PurePosixPath(here))
        if uri.startswith("file:") and path.is_relative_to(folder):
            return str(PurePosixPath(MODELS) / path.relative_to(folder)), there
    hint = "name an engine that downloads its model (hf://), or a folder that every node has under `model_folders`"
    raise ProviderError(
        f"{uri} cannot be brought into a pod", f"{template.engine} does not download it by itself", hint=hint
    )


def _volumes(template: Template, grounds: Grounds) -> tuple[tuple[Values, ...], tuple[Values, ...]]:
    """Return the volumes of a pod and where its engine finds them."""
    more, volumes, mounts = template.container, list[Values](), list[Values]()
    shared = more.get("shm_size", SHARED_MEMORY if template.gpus else 0)
    if shared:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": write_bytes(shared)}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108  -- where POSIX shared memory is
    folder = _model(template, grounds)[1]
    if folder:
        volumes.append({"name": "models", "hostPath": {"path": folder, "type": "Directory"}})
        mounts.append({"name": "models", "mountPath": MODELS, "readOnly": True})
    written = [*more.get("tmpfs", ()), *([more["cache"]] if more.get("cache") else ())]
    for index, path in enumerate(written):
        volumes.append({"name": f"scratch-{index}", "emptyDir": {}})
        mounts.append({"name": f"scratch-{index}", "mountPath": path})
    return tuple(volumes), tuple(mounts)


def _resources(template: Template, grounds: Grounds) -> dict[str, Any]:
    requests: dict[str, str] = {"cpu": write_cpus(grounds.cpus)} if grounds.cpus else {}
    limits: dict[str, str] = {}
    if template.gpus:
        requests[grounds.gpu_resource] = limits[grounds.gpu_resource] = str(template.gpus)
    elif template.memory:
        requests["memory"] = write_bytes(template.memory)
        limits["memory"] = write_bytes(max(HEADROOM * template.memory, LEAST_LIMIT))
    return {name: value for name, value in (("requests", requests), ("limits", limits)) if value}


def _tolerations(template: Template, grounds: Grounds) -> tuple[Values, ...]:
    said = [{name: value for name, value in each.items() if value} for each in grounds.tolerations]
    if template.gpus:  # as GPU nodes are commonly tainted, by their device plug-in's name for them
        said.append({"key": grounds.gpu_resource, "operator": "Exists", "effect": "NoSchedule"})
    return tuple(said)
