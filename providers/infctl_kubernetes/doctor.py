"""Owns what `infctl doctor` says of a cluster: whether it answers, its version, what infctl may do there, its GPUs.

Judges what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infctl.provider.protocol import Finding
from infctl.provider.values import Inventory
from infctl_kubernetes.client import Api
from infctl_kubernetes.rights import NEEDS, Need

OLDEST = (1, 30)  # the first whose pods may sleep before they end (kubernetes.io, "Container lifecycle hooks")
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


def check_cluster(api: Api, namespace: str, have: Inventory, resource: str) -> tuple[Finding, ...]:
    """Return what may keep models from running, and what mends it. Raises ApiError, UnreachedError."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    rules = (api.post(RULES, body).get("status") or {}).get("resourceRules") or ()
    return (
        _version(str(have.facts["version"])),
        _namespace(namespace, have),
        *_rights(rules, namespace),
        _gpus(have, resource),
        Finding("additions", ok=True, detail=", ".join(have.facts["installed"]) or "none that infctl knows"),
    )


def allows(rules: Sequence[Mapping[str, Any]], need: Need, verb: str) -> bool:
    """Return whether any of the rules of a SelfSubjectRulesReview allows `verb` on all objects of a resource."""
    return any(
        not rule.get("resourceNames")
        and ({verb, "*"} & set(rule.get("verbs") or ()))
        and ({need.group, "*"} & set(rule.get("apiGroups") or ()))
        and ({need.resource, "*", f"*/{need.resource.rpartition('/')[2]}"} & set(rule.get("resources") or ()))
        for rule in rules
    )


def _version(version: str) -> Finding:
    numbers = tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.lstrip("v").split(".")[:2])
    oldest = ".".join(map(str, OLDEST))
    return Finding("version", ok=numbers >= OLDEST, detail=version, hint=f"infctl needs Kubernetes {oldest} or newer")


def _namespace(name: str, have: Inventory) -> Finding:
    there = have.facts["namespace"]["is_there"]
    return Finding("namespace", ok=True, detail=f"{name} is {'there' if there else 'made by the first apply'}")


def _rights(rules: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[Finding]:
    for need in NEEDS:
        missing = [verb for verb in need.verbs if not allows(rules, need, verb)]
        what = f"{need.resource}{f'.{need.group}' if need.group else ''}"
        detail = f"may not {', '.join(missing)}" if missing else f"may {', '.join(need.verbs)}"
        hint = f"bind a Role with these verbs on {what} in namespace {namespace}"
        yield Finding(what, ok=not missing, detail=detail, hint=hint if missing else "")


def _gpus(have: Inventory, resource: str) -> Finding:
    if have.facts["unseen"]:
        unseen = " and ".join(have.facts["unseen"])
        detail = f"{unseen} of all namespaces may not be listed: whether a model fits is found out by trying"
        return Finding("GPUs", ok=True, detail=detail)
    devices = [device for place in have.places for device in place.devices]
    free = sum(not device.taken for device in devices)
    named = ", ".join(sorted({device.product for device in devices} - {""}))
    labelled = named or "no node says which: GPU feature discovery is not installed"
    detail = (
        f"{free} of {len(devices)} free on {len(have.places)} nodes ({labelled})"
        if devices
        else f"no node has {resource}"
    )
    return Finding("GPUs", ok=True, detail=detail)
