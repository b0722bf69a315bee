"""Owns what a target's wishes are in a cluster's resources: for each model a Deployment, its account, budget, Service.

Pure. One Deployment is all replicas of a revision: its platform places them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Desired, Ref, TargetWant, Template, digest
from infctl.secrets import SecretRef
from infctl_kubernetes.kinds import ACCOUNT, BUDGET, DEPLOYMENT, LABEL_LIMIT, NAMESPACE, SERVICE
from infctl_kubernetes.pod import PORT, Grounds, pod_spec

# kubernetes.io/docs/concepts/security/pod-security-standards: "baseline" forbids what gives a pod its node
SECURITY = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True, slots=True)
class Estate:
    """Where a target's objects go. `ours` is whether the namespace is made by this stack, or not there yet."""

    stack: str
    workspace: str
    namespace: str
    ours: bool
    grounds: Grounds


def lower(want: TargetWant, estate: Estate) -> tuple[Desired, ...]:
    """Return the target's namespace where it is ours, then each model's objects. Raises ProviderError for a model that
    no node can run.
    """
    if not want.deployments:
        return ()
    space, namespace = list[Desired](), estate.namespace
    where: str | Ref = namespace
    if estate.ours:
        level = "privileged" if estate.grounds.folders else "baseline"  # a folder of a node is more than baseline
        values = {"name": namespace, "labels": {SECURITY: level}}
        space = [Desired(Address(NAMESPACE, want.target), want.target, values)]
        where = Ref(space[0].address, "name")
    return (*space, *(made for wish in want.deployments for made in _model(wish, want.target, where, estate)))


def _model(wish: Deployment, target: str, namespace: str | Ref, estate: Estate) -> Iterator[Desired]:
    model, template = wish.model, wish.template
    account = Desired(
        Address(ACCOUNT, model, target), target, {"namespace": namespace, "token": False}, model, wish.revision
    )
    pod = pod_spec(wish, estate.grounds, _nodes(wish, target, estate.grounds.products))
    replicas = Desired(
        Address(DEPLOYMENT, model, target),
        target,
        {
            "namespace": namespace,
            "revision": wish.revision,
            "replicas": len(wish.slots),
            "pod": pod,
            "account": Ref(account.address, "name"),
            "secrets": {name: value for name, value in template.env.items() if isinstance(value, SecretRef)},
            "probe": _probe(template),
            "gpus": template.gpus,
            "memory": 0 if template.gpus else template.memory,
            "tags": wish.tags,
        },
        model,
        wish.revision,
        wish.spec_hash,
    )
    budget = {"namespace": namespace, "selector": Ref(replicas.address, "selector"), "max_unavailable": 1}
    route = {
        "namespace": namespace,
        "name": service_name(estate.stack, estate.workspace, model),
        "port": wish.port or PORT,
        "backends": (Ref(replicas.address, "selector"),),
    }
    yield account
    yield replicas
    yield Desired(Address(BUDGET, model, target), target, budget, model, wish.revision)
    yield Desired(Address(SERVICE, model, target), target, route, model, wish.revision)


def service_name(stack: str, workspace: str, model: str) -> str:
    """Return the name under which a model is asked in its cluster, shortened with a hash to what DNS allows."""
    parts = (stack, model) if workspace == "default" else (stack, workspace, model)
    name = "-".join(parts)
    return name if len(name) <= LABEL_LIMIT else f"{name[: LABEL_LIMIT - 9]}-{digest(name)[:8]}"


def _probe(template: Template) -> Mapping[str, Any]:
    probe = template.probe
    return {"kind": probe.kind, "path": probe.path, "model": probe.model, "requests": probe.requests}


def _nodes(
    wish: Deployment, target: str, products: Sequence[tuple[str, str, str]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the labels of the nodes with the GPU that is asked for, each with its values; () where any will do."""
    template = wish.template
    if template.gpus and (template.gpu_memory or template.gpu_fraction):
        hint = "ask for whole GPUs, or name the MIG resource of your nodes as the target's gpu_resource"
        raise ProviderError(f"{wish.model} asks for a part of a GPU, which {target} does not share out", hint=hint)
    if not template.gpus or not template.gpu_product:
        return ()
    found: dict[str, list[str]] = {}
    for label, value, product in products:
        if is_product(template.gpu_product, product):
            found.setdefault(label, []).append(value)
    if not found:
        there = ", ".join(sorted({product for _, _, product in products})) or "none that is labelled"
        hint = "name one of these as gpu.product; GPU feature discovery labels nodes with what they have"
        raise ProviderError(
            f"No node of {target} has a {template.gpu_product} for {wish.model}", f"there: {there}", hint=hint
        )
    return tuple((label, tuple(sorted(values))) for label, values in sorted(found.items()))


def is_product(asked: str, product: str) -> bool:
    """Return whether a GPU that its node calls `product` is what the file calls `asked`."""
    from infctl.catalog.gpus import gpus  # noqa: PLC0415  -- only who names a product reads the catalogue
    from infctl.catalog.names import plain_gpu  # noqa: PLC0415

    wanted, found = gpus().find(asked), gpus().find(product)
    if wanted and found:
        return any(each in found for each in wanted)
    return plain_gpu(asked) == plain_gpu(product)
