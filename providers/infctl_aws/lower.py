"""Owns what a target's wishes are in AWS's resources: what all models share, then each model's group and address.

One group stands for all replicas of a revision. Pure. Knows nothing of what runs already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Desired, Ref, TargetWant, Template, Values
from infctl_aws.kinds import BALANCER, GROUP, LOGS, ROLE, ROUTE, WALL

PORT = 8000  # where an engine listens on its instance, unless its command says another
DAYS = 30  # that logs are kept
HEALTH = "/health"
DOOR, INSIDE = "door", "instances"  # the two walls: around the load balancer, around the instances
ONE_FILE = "llama.cpp"  # the engine whose model is one file; others take what lies in a folder
SIZE = re.compile(r"(\d+)GB")
ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
SOURCES = ("hf://", "https://", "s3://")


@dataclass(frozen=True, slots=True)
class House:
    """What holds for all models of a target. `vpc` and `networks` are of the subnets, `lacking` those of them that are
    not there; `types` says what is in each instance type: {gpus, product, memory, offered}, empty where nobody looked;
    `secrets` is the folder of the target's secrets in the parameter store.
    """

    subnets: tuple[str, ...]
    vpc: str
    networks: tuple[str, ...]
    instance_types: tuple[str, ...]
    types: Mapping[str, Values]
    purchase: Values
    lacking: tuple[str, ...]
    ami: str
    disk: int
    public: bool
    ports: tuple[int, int]
    secrets: str


def lower(want: TargetWant, house: House) -> tuple[Desired, ...]:
    """Return every resource of the target. Raises ProviderError for what no instance here can run."""
    if not want.deployments:
        return ()
    _refuse_network(want.target, house)
    shared = tuple(_shared(want, house))
    return (*shared, *(made for wish in want.deployments for made in _of_model(wish, want.target, house)))


def _refuse_network(target: str, house: House) -> None:
    """Raise ProviderError where the target's subnets cannot hold instances behind one load balancer."""
    if house.lacking:
        raise ProviderError(
            f"Not all subnets of {target} are there",
            f"not found: {', '.join(house.lacking)}",
            hint="name subnets of the target's region; aws ec2 describe-subnets lists them",
        )
    if house.types and not house.vpc:
        raise ProviderError(
            f"The subnets of {target} are not of one VPC",
            ", ".join(house.subnets),
            hint="name subnets of one VPC; another VPC is another target",
        )


def _shared(want: TargetWant, house: House) -> Iterator[Desired]:
    target = want.target
    door, inside = Address(WALL, target, DOOR), Address(WALL, target, INSIDE)
    fixed = {(wish.port, wish.port) for wish in want.deployments if wish.port}
    ranges = sorted(fixed | ({house.ports} if any(not wish.port for wish in want.deployments) else set()))
    ingress = tuple({"ports": each, "from": network} for each in ranges for network in house.networks)
    yield Desired(door, target, {"vpc": house.vpc, "ingress": ingress})
    ports = sorted({wish.template.port or PORT for wish in want.deployments})
    inwards = tuple({"ports": (port, port), "from": Ref(door, "group")} for port in ports)
    yield Desired(inside, target, {"vpc": house.vpc, "ingress": inwards})
    balancer = {"subnets": house.subnets, "public": house.public, "security_group": Ref(door, "group")}
    yield Desired(Address(BALANCER, target), target, balancer)


def _of_model(wish: Deployment, target: str, house: House) -> Iterator[Desired]:
    name = wish.model
    logs, role, group = (Address(kind, name, target) for kind in (LOGS, ROLE, GROUP))
    template = wish.template
    yield Desired(logs, target, {"days": DAYS}, name)
    rights = {
        "reads": (template.model_uri.removeprefix("s3://"),) if template.model_uri.startswith("s3://") else (),
        "secrets": f"{house.secrets}/{name}",
        "log_group": Ref(logs, "log_group"),
        "pulls": _private(template.image),
    }
    yield Desired(role, target, rights, name)
    values = {
        **_group_values(wish, house),
        "security_group": Ref(Address(WALL, target, INSIDE), "group"),
        "profile": Ref(role, "profile"),
        "log_group": Ref(logs, "log_group"),
    }
    yield Desired(group, target, values, name, wish.revision, wish.spec_hash)
    route = {
        "vpc": house.vpc,
        "model": name,
        "port": wish.port,
        "engine_port": template.port or PORT,
        "served_names": wish.served_names,
        "health": _health_path(template),
        "backends": (Ref(group, "group"),) if wish.slots else (),
        "load_balancer": Ref(Address(BALANCER, target), "arn"),
        "host": Ref(Address(BALANCER, target), "dns"),
        "drain": int(wish.drain_timeout),
    }
    yield Desired(Address(ROUTE, name, target), target, route, name, wish.revision)


def _group_values(wish: Deployment, house: House) -> dict[str, Any]:
    template, probe = wish.template, wish.template.probe
    return {
        "revision": wish.revision,
        "image": template.image,
        "engine": template.engine,
        "engine_version": template.engine_version,
        "model": _source(wish.model, template),
        "model_sha256": template.model_sha256,
        "task": template.task,
        "args": template.args,
        "env": template.env,
        "command": template.command,
        "port": template.port or PORT,
        "probe": {"kind": probe.kind, "path": probe.path, "model": probe.model, "requests": probe.requests},
        "sandbox": _tupled(template.container),
        "gpus": template.gpus,
        "ready_timeout": int(wish.ready_timeout),
        "ami": house.ami,
        "disk": house.disk,
        "instance_types": fitting(wish, house),
        "subnets": house.subnets,
        "purchase": house.purchase,
        "replicas": len(wish.slots),
        "tags": wish.tags,
    }


def fitting(wish: Deployment, house: House) -> tuple[str, ...]:
    """Return the types that a replica fits: of those with GPUs the ones with the fewest that are enough.

    Raises ProviderError where none does. Types of which nothing is known are taken at their word.
    """
    template = wish.template
    known = house.types or dict.fromkeys(house.instance_types)
    enough = [name for name in house.instance_types if name in known and _is_enough(template, known[name])]
    if not enough:
        there = ", ".join(_in_words(name, house.types) for name in house.instance_types)
        asked = f"{template.gpus} x {template.gpu_product or 'any GPU'}" if template.gpus else f"{template.memory:,} B"
        raise ProviderError(
            f"No instance type of the target has what a replica of {wish.model} needs",
            f"it needs {asked}; the target has {there}",
            hint="add a type that has it to the target's instance_types",
            address=f"model.{wish.model}",
        )
    fewest = min(_gpus(house.types.get(name), template) for name in enough)
    return tuple(name for name in enough if _gpus(house.types.get(name), template) == fewest)


def _in_words(name: str, types: Mapping[str, Values]) -> str:
    known = types.get(name)
    if known is None:
        return f"{name} (there is no such type)"
    if not known.get("offered", True):
        return f"{name} (in none of its subnets' zones)"
    return f"{name} ({known['gpus']} x {known['product']})" if known["gpus"] else f"{name} (no GPU)"


def _gpus(known: Values | None, template: Template) -> int:
    return int(known["gpus"]) if known and template.gpus else template.gpus


def _is_enough(template: Template, known: Values | None) -> bool:
    if known is None:
        return True
    if not known.get("offered", True):
        return False
    if not template.gpus:
        return bool(known["memory"] >= template.memory)
    of_product = not template.gpu_product or _is_product(str(known["product"]), template.gpu_product)
    return bool(of_product and known["gpus"] >= template.gpus)


def _is_product(found: str, asked: str) -> bool:
    """Return whether AWS's name of a GPU ("A100-40GB", "L4") means the one that is asked for ("A100-SXM-40GB")."""
    sizes = {size[1] for name in (found, asked) if (size := SIZE.search(name))}
    return found.partition("-")[0].lower() == asked.partition("-")[0].lower() and len(sizes) <= 1


def _source(model: str, template: Template) -> str:
    """Return the uri that instances fetch. Raises ProviderError for a file of this machine, which they cannot see."""
    if template.model_uri and not template.model_uri.startswith(SOURCES):
        raise ProviderError(
            f"{model} is a file that instances on AWS cannot reach",
            template.model_uri,
            hint="put it into a bucket and name it there: s3://BUCKET/PATH",
            address=f"model.{model}",
        )
    return template.model_uri


def _private(image: str) -> tuple[str, ...]:
    """Return HOST/REPOSITORY of an image in a private registry of AWS, which its instances need a right for."""
    host, _, path = image.partition("@")[0].partition("/")
    return (f"{host}/{path.partition(':')[0]}",) if ECR.fullmatch(host) else ()


def _health_path(template: Template) -> str:
    """Return the path under which an engine says that it is well, without a model being asked."""
    if template.probe.kind == "http":
        return template.probe.path
    own = str(template.container.get("health_path", HEALTH))
    return own if template.engine != "custom" else "/v1/models"


def _tupled(container: Values) -> Values:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in container.items()}
