"""Owns what a target's wishes are in Docker's resources: a network per host, a container per slot.

Pure, and quick enough for ten thousand models. Routes and their proxies are `proxy_lower`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infctl.address import Address
from infctl.provider.values import Deployment, Desired, Ref, Share, Spot, TargetWant, Template, Values
from infctl_docker.kinds import CONTAINER, NETWORK

PORT = 8000  # where an engine listens inside of its container, unless its command says another
MODELS = "/models"  # where a container finds the model files of its host
MODELS_VOLUME = "infctl-models"  # one on each host, for all stacks: files lie there under their checksum
HEALTH = "/health"
SHARED_MEMORY = 8 << 30  # bytes of /dev/shm for engines on GPUs (a limit: what is not used is not taken); NCCL and
#   PyTorch workers talk through it, and Docker's own 64 MB are too few (PyTorch, README: --ipc=host or --shm-size)
HEADROOM = 2  # the limit of a replica without GPUs, in multiples of what it needs: our estimate is none to be killed by
LEAST_LIMIT = 64 << 20  # bytes: below this a shell that asks for its health is what gets killed
LOG: Mapping[str, str] = {"max-file": "3", "max-size": "10m"}
# Containers of one stack have no business with each other: the proxy reaches them from the host.
NETWORK_OPTIONS: Mapping[str, str] = {"com.docker.network.bridge.enable_icc": "false"}


@dataclass(frozen=True, slots=True)
class House:
    """What holds for all replicas of a target. `hosts` are the names of all its hosts; `cache` is the volume for what
    engines keep; `cpus` the most processors that one replica may use, 0 for all; `hub` a hub's mirror for engines that
    download; `folder_of` tells the folder of the hosts that holds the model of a uri, "" where none does.
    """

    hosts: Sequence[str]
    cache: str
    cpus: float = 0.0
    hub: str = ""
    folder_of: Callable[[str], str] = lambda _uri: ""


def lower(want: TargetWant, house: House) -> tuple[Desired, ...]:
    """Return the networks of the target, then each model's containers."""
    if not want.deployments:
        return ()
    networks = tuple(network(want.target, host) for host in house.hosts)
    return (*networks, *(made for wish in want.deployments for made in _containers(wish, want.target, house)))


def network(target: str, host: str) -> Desired:
    return Desired(Address(NETWORK, target, host), target, {"host": host, "options": NETWORK_OPTIONS})


def container_address(model: str, target: str, slot: int) -> Address:
    return Address(CONTAINER, model, f"{target}/{slot}")


def spots_of(wish: Deployment, hosts: Sequence[str]) -> tuple[Spot, ...]:
    """Return where each slot runs; without a placement they go round the hosts."""
    return wish.spots or tuple(Spot(hosts[slot % len(hosts)]) for slot in wish.slots)


def health_path(template: Template) -> str:
    """Return the path under which an engine says that it is well, without a model being asked."""
    if template.probe.kind == "http":
        return template.probe.path
    own = template.container.get("health_path", HEALTH)
    return own if template.engine != "custom" else "/v1/models"


def _containers(wish: Deployment, target: str, house: House) -> Iterator[Desired]:
    shared, spec_hash = _shared_values(wish, house), wish.spec_hash
    for slot, spot in zip(wish.slots, spots_of(wish, house.hosts), strict=True):
        values = {
            **shared,
            "host": spot.place,
            "devices": _pairs(spot.devices),
            "network": Ref(Address(NETWORK, target, spot.place), "network"),
        }
        yield Desired(container_address(wish.model, target, slot), target, values, wish.model, wish.revision, spec_hash)


def _pairs(shares: Sequence[Share]) -> tuple[tuple[str, int], ...]:
    return tuple((share.device, share.memory) for share in shares)


def _shared_values(wish: Deployment, house: House) -> dict[str, Any]:
    """Return the values that all replicas of a deployment share."""
    template, probe = wish.template, wish.template.probe
    memory = 0 if template.gpus else template.memory  # with GPUs it is theirs
    return {
        "revision": wish.revision,
        "image": template.image,
        "engine": template.engine,
        "engine_version": template.engine_version,
        "model": template.model_uri,
        "model_sha256": template.model_sha256,
        "task": template.task,
        "args": template.args,
        "env": template.env,
        "command": template.command,
        "port": template.port or PORT,
        "probe": {"kind": probe.kind, "path": probe.path, "model": probe.model, "requests": probe.requests},
        "sandbox": _container(template, house.hub),
        "mounts": _mounts(template, house),
        "health": health_path(template),
        "log": LOG,
        "memory": memory,
        "memory_limit": max(HEADROOM * memory, LEAST_LIMIT) if memory else 0,
        "cpus": house.cpus,
        "restart": "unless-stopped",
        "renamed_to": "",
        "tags": wish.tags,
    }


def _container(template: Template, hub: str) -> Values:
    """Return what the engine needs of its container, in tuples, as it is read back."""
    asked: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in template.container.items()
    }
    if hub and asked.get("download"):
        asked["env"] = {**asked.get("env", {}), "HF_ENDPOINT": hub}
    return {"shm_size": SHARED_MEMORY, **asked} if template.gpus else asked


def _mounts(template: Template, house: House) -> Values:
    """Return the volume, or the host's folder, behind each folder; one that ends in ":ro" cannot be written to."""
    kept = template.container.get("cache", "")
    files = template.model_uri and not template.container.get("download")
    source = house.folder_of(template.model_uri) or MODELS_VOLUME
    return {**({MODELS: f"{source}:ro"} if files else {}), **({kept: house.cache} if kept else {})}
