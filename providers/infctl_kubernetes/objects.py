"""Owns writing objects to a cluster and finding them again: server-side apply, lists by label, foreground deletion.

Knows no kind in particular: `manifests` says what each looks like.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from infctl.address import parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.faults import point
from infctl.provider.values import Change, Emit, Known, Observed, Progress, Scope, Values
from infctl.secrets import Secret, Unknown
from infctl_kubernetes.client import Api, Json
from infctl_kubernetes.errors import CONFLICT, FORBIDDEN, NOT_FOUND, ApiError
from infctl_kubernetes.kinds import NAMESPACE
from infctl_kubernetes.labels import (
    ID,
    LINEAGE,
    MANAGED_BY,
    MANAGER,
    Described,
    is_stopped,
    read_labels,
    scope_selector,
    write_annotations,
    write_labels,
)
from infctl_kubernetes.manifests import RESOURCES, Resource, name_of, secret_manifest

AT_ONCE = 8  # lists asked side by side
PAUSE = 0.25  # seconds between two looks at what is being deleted
LEAST_TIME = 30.0  # seconds that a write has in any case
SECRET_PATH = "/api/v1/namespaces/{}/secrets"  # noqa: S105  # a path
UNTOLD = "not-known-yet"  # stands for what only apply can tell
FOREGROUND = "foregroundDeletion"
# What a namespace may hold that somebody would miss; every namespace has the last by itself.
HELD = (
    "/api/v1/namespaces/{}/pods",
    "/apis/apps/v1/namespaces/{}/deployments",
    "/apis/apps/v1/namespaces/{}/statefulsets",
    "/api/v1/namespaces/{}/services",
    "/api/v1/namespaces/{}/persistentvolumeclaims",
    "/api/v1/namespaces/{}/secrets",
    "/api/v1/namespaces/{}/configmaps",
)
BY_ITSELF = frozenset({"kube-root-ca.crt", "default"})


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster as a target uses it."""

    api: Api
    target: str
    namespace: str


# ---------------------------------------------------------------- what is there


def observe(cluster: Cluster, scope: Scope) -> tuple[Observed, ...]:
    """Return all that is looked for: one paged list for each kind, side by side, and what state knows besides."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lists = dict(zip(RESOURCES, pool.map(lambda kind: _listed(cluster, kind, scope), RESOURCES), strict=True))
        found = {seen.id: seen for kind, live in lists.items() for seen in _ours(cluster, kind, live, scope)}
        missing = [known for known in scope.known if known.id not in found and known.outputs.get("name")]
        for seen in pool.map(lambda known: _known(cluster, known), missing):
            if seen is not None:
                found[seen.id] = seen
    return tuple(found.values())


def _listed(cluster: Cluster, kind: str, scope: Scope) -> list[Json]:
    resource = RESOURCES[kind]
    if kind == NAMESPACE:  # by its name: to list all is more than infctl needs to be allowed
        return [live] if (live := find_namespace(cluster)) else []
    return list(cluster.api.pages(resource.at(cluster.namespace), labelSelector=scope_selector(scope)))


def find_namespace(cluster: Cluster) -> Json | None:
    """Return the target's namespace; None where it is not there, {} where it may not be seen: it is somebody else's."""
    try:
        return cluster.api.find(RESOURCES[NAMESPACE].at("", cluster.namespace))
    except ApiError as failure:
        if failure.status == FORBIDDEN:
            return {}
        raise


def _ours(cluster: Cluster, kind: str, live: list[Json], scope: Scope) -> Iterator[Observed]:
    for thing in live:
        described = read_labels(thing)
        if described is not None and described.target == cluster.target and scope.covers(described.labels):
            yield seen_as(cluster, kind, thing, described)


def _known(cluster: Cluster, known: Known) -> Observed | None:
    """Return an object that state knows, whatever its labels say of whose it is."""
    resource, outputs = RESOURCES[known.address.kind], known.outputs
    live = cluster.api.find(resource.at(outputs.get("namespace") or cluster.namespace, outputs["name"]))
    described = read_labels(live) if live else None
    if live is None or described is None or described.labels.id != known.id:
        return None
    return seen_as(cluster, known.address.kind, live, described)


def seen_as(cluster: Cluster, kind: str, live: Json, described: Described) -> Observed:
    resource, meta, labels = RESOURCES[kind], live["metadata"], described.labels
    values = resource.seen(described.values, live)
    outputs = {
        "name": meta["name"],
        **({"namespace": meta["namespace"]} if resource.namespaced else {}),
        "uid": meta["uid"],
        **resource.outputs(values, live),
    }
    return Observed(
        parse_address(labels.address), labels.id, described.name, cluster.target, values, outputs, labels,
        not is_stopped(live),
    )  # fmt: skip


def find(cluster: Cluster, change: Change) -> Json | None:
    """Return the live object of this id."""
    resource = RESOURCES[change.address.kind]
    if change.address.kind == NAMESPACE:
        live = find_namespace(cluster)
        return live if live and (live["metadata"].get("labels") or {}).get(ID) == change.id else None
    selector = f"{MANAGED_BY}={MANAGER},{ID}={change.id}"
    return next(cluster.api.pages(resource.at(space_of(cluster, change)), labelSelector=selector), None)


def space_of(cluster: Cluster, change: Change) -> str:
    """Return the namespace that an object is, or comes, in."""
    said = change.before.outputs.get("namespace") if change.before and change.after is None else None
    return str((change.after or {}).get("namespace") or said or cluster.namespace)


# ---------------------------------------------------------------- what is done


def make(cluster: Cluster, change: Change) -> Observed:
    """Return the object once it is as `change` says: created, or changed in place. Raises ApiError, ProviderError."""
    values, resource = change.after or {}, RESOURCES[change.address.kind]
    name, space = name_of(values, change.name), space_of(cluster, change)
    path = resource.at(space, name)
    before = _standing(cluster, change, path, name)
    manifest = _manifest(change, values, name)
    if before and (patch := resource.clear(manifest, before)):
        cluster.api.merge(path, patch, MANAGER)
    point("kubernetes: put")
    live = cluster.api.put(path, manifest, MANAGER, patience=max(LEAST_TIME, change.timeout))
    point("kubernetes: put done")
    if values.get("secrets"):
        _put_secret(cluster, resource, values, change, live)
    described = read_labels(live)
    if described is None:
        raise ProviderError(f"{change.address} does not carry what infctl wrote on it", "an admission rule took it off")
    return seen_as(cluster, change.address.kind, live, described)


def rehearse(cluster: Cluster, change: Change) -> None:
    """Have the API server judge what `make` would write, without writing it. Raises ApiError, ProviderError.

    What stands in a namespace that is itself to be made cannot be judged yet.
    """
    values: Values = _told(change.after or {})
    if change.address.kind != NAMESPACE and values.get("namespace") == UNTOLD:
        return
    name = name_of(values, change.name)
    path = RESOURCES[change.address.kind].at(str(values.get("namespace", "")), name)
    _standing(cluster, change, path, name)
    try:
        cluster.api.put(path, _manifest(change, values, name), MANAGER, dry=True)
    except ApiError as failure:
        if failure.status != NOT_FOUND:
            raise


def _told(value: Any) -> Any:
    """Return `value` with a word for each thing that only apply can tell."""
    if isinstance(value, Unknown):
        return UNTOLD
    if isinstance(value, Mapping):
        return {key: _told(item) for key, item in value.items()}
    return tuple(map(_told, value)) if isinstance(value, (list, tuple)) else value


def _manifest(change: Change, values: Values, name: str) -> Json:
    """Return all that is written of an object."""
    resource, labels = RESOURCES[change.address.kind], change.labels
    body = resource.body(values, labels, name)
    meta = body.get("metadata") or {}
    return {
        **body,
        "apiVersion": resource.api,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "labels": {**write_labels(labels, change.target), **meta.get("labels", {})},
            "annotations": write_annotations(change),
        },
    }


def _standing(cluster: Cluster, change: Change, path: str, name: str) -> Json | None:
    """Return the object as it stands, None where none does.

    Raises ProviderError where one of this name is not that of `change`: to apply would be to take it over.
    """
    live = cluster.api.find(path)
    if live is None:
        return None
    meta = live["metadata"]
    if meta.get("deletionTimestamp"):
        held = ", ".join(meta.get("finalizers") or ()) or "its dependents"
        raise ProviderError(
            f"{live.get('kind', 'Object')} {name} is still being deleted", f"waits for: {held}",
            hint="run this again when it is gone", address=str(change.address), retryable=True,
        )  # fmt: skip
    if (meta.get("labels") or {}).get(ID) == change.id:
        return live
    described = read_labels(live)
    whose = (
        f"it is {described.labels.address} of stack {described.labels.stack}" if described else "infctl did not make it"
    )
    raise ProviderError(
        f"{live.get('kind', 'Object')} {name} is there already", whose,
        hint="remove it, or give the stack or the model another name", address=str(change.address),
    )  # fmt: skip


def _put_secret(cluster: Cluster, resource: Resource, values: Values, change: Change, live: Json) -> None:
    """Write the values of a replica's secrets beside it, owned by it: when it goes, they go."""
    if not all(isinstance(value, Secret) for value in values["secrets"].values()):
        raise ProviderError(f"{change.address} came without the values of its secrets", address=str(change.address))
    meta = live["metadata"]
    owner = {"apiVersion": resource.api, "kind": resource.kind, "name": meta["name"], "uid": meta["uid"]}
    manifest = secret_manifest(values, write_labels(change.labels, change.target), meta["name"], owner)
    cluster.api.put(f"{SECRET_PATH.format(meta['namespace'])}/{meta['name']}", manifest, MANAGER)
    point("kubernetes: secret done")


def remove(cluster: Cluster, change: Change, emit: Emit) -> None:
    """Delete the object and all that it owns, and wait until it is gone. What is gone already is a success.

    Raises ApiError, and ProviderError that names what holds it.
    """
    live = find(cluster, change)
    if live is None:
        return
    meta = live["metadata"]
    path = RESOURCES[change.address.kind].at(meta.get("namespace", ""), meta["name"])
    if not meta.get("deletionTimestamp"):
        point("kubernetes: delete")
        _delete(cluster, path, meta["uid"])
    deadline = time.monotonic() + change.timeout + RESOURCES[change.address.kind].grace
    while (left := cluster.api.find(path)) is not None and left["metadata"]["uid"] == meta["uid"]:
        if time.monotonic() > deadline:
            raise _held(change, left)
        emit(Progress("delete", meta["name"]))
        time.sleep(PAUSE)


def _delete(cluster: Cluster, path: str, uid: str) -> None:
    try:
        cluster.api.delete(path, uid)
    except ApiError as failure:
        if failure.status not in {NOT_FOUND, CONFLICT}:  # a conflict: another stands there by now
            raise


def _held(change: Change, left: Mapping[str, Any]) -> ProviderError:
    meta = left["metadata"]
    holding = [each for each in meta.get("finalizers") or () if each != FOREGROUND]
    conditions = (left.get("status") or {}).get("conditions") or ()
    said = [
        one.get("message", "")
        for one in conditions
        if one.get("status") == "True" and "inaliz" in one.get("message", "")
    ]
    why = (
        f"finalizers that nobody serves: {', '.join(holding)}"
        if holding
        else "; ".join(said) or "its dependents are still there"
    )
    return ProviderError(
        f"{change.address} is deleted, but does not go", f"{meta['name']}: {why}",
        hint="the controller that owns the finalizer must end its work; then run this again",
        address=str(change.address), retryable=True,
    )  # fmt: skip


def refuse_full_namespace(cluster: Cluster, change: Change) -> None:
    """Raise ProviderError where a namespace holds what is not of this stack: it would go with it."""
    live = find(cluster, change)
    if live is None or live["metadata"].get("deletionTimestamp"):
        return
    name, labels = live["metadata"]["name"], change.labels
    for path in HELD:
        for thing in cluster.api.pages(path.format(name), names_only=True):
            meta = thing["metadata"]
            mine = (meta.get("labels") or {}).get(LINEAGE) == labels.lineage or meta.get("ownerReferences")
            if not mine and meta["name"] not in BY_ITSELF:
                what = path.rpartition("/")[2]
                raise ProviderError(
                    f"Namespace {name} holds more than this stack, so it is not deleted", f"{what}: {meta['name']}",
                    hint=f"move that elsewhere, or keep the namespace: `kubectl label namespace {name} {ID}-` and run "
                    "this again",
                    address=str(change.address),
                )  # fmt: skip
