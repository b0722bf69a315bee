"""Owns how each kind is written to a cluster and read back: where it stands, its values as a manifest, and the values
of a live one. Pure.

A kind is one row of `RESOURCES`; what writes and finds objects (`objects`) knows no kind in particular.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from infctl.provider.values import Labels, Values
from infctl.secrets import Secret, SecretRef
from infctl_kubernetes.kinds import ACCOUNT, BUDGET, DEPLOYMENT, NAMESPACE, SERVICE
from infctl_kubernetes.labels import ID, pod_labels
from infctl_kubernetes.pod import PORT_NAME
from infctl_kubernetes.projection import as_seen

SECRETS = "/run/secrets/infctl"  # where an engine finds the files of its secrets
ONLY_OWNER = 0o400
NOBODY = "nobody"  # the id of no object: what a Service without backends selects

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. `path` is that of its list, with {namespace} where it has one. `body` is all of its manifest but the
    metadata, `seen` the values of a live object that was made with `values`, `outputs` what else the plan needs.
    `grace` is the seconds that its deletion may take besides what the change allows. `clear` is the merge patch that an
    object needs first, where applying would leave what somebody put beside ours.
    """

    api: str
    kind: str
    path: str
    body: Callable[[Values, Labels, str], Json]
    seen: Callable[[Values, Mapping[str, Any]], Values]
    outputs: Callable[[Values, Mapping[str, Any]], Values] = lambda _values, _live: {}
    grace: float = 5.0
    clear: Callable[[Json, Mapping[str, Any]], Json] = lambda _body, _live: {}

    @property
    def namespaced(self) -> bool:
        return "{namespace}" in self.path

    def at(self, namespace: str, name: str = "") -> str:
        path = self.path.format(namespace=namespace)
        return f"{path}/{name}" if name else path


def name_of(values: Values, given: str) -> str:
    """Return the name of an object on the cluster: its own, where it has one, else the one it was given."""
    return str(values.get("name") or given)


# ---------------------------------------------------------------- Deployment


def _deployment(values: Values, labels: Labels, name: str) -> Json:
    return {
        "spec": {
            "replicas": values["replicas"],
            "selector": {"matchLabels": {ID: labels.id}},
            "revisionHistoryLimit": 0,  # a revision is a Deployment of its own
            "template": {"metadata": {"labels": pod_labels(labels)}, "spec": _with_secrets(values, name)},
        }
    }


def _with_secrets(values: Values, name: str) -> Json:
    """Return the pod's spec with the secrets that stand beside the Deployment under its name."""
    pod: Json = {**values["pod"], "serviceAccountName": values["account"]}
    if not values["secrets"]:
        return pod
    env, volumes, mounts = list[Json](), list[Json](), list[Json]()
    for variable, value in sorted(values["secrets"].items()):
        if delivery(value) == "env":
            env.append({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": variable}}})
        else:
            env.append({"name": f"{variable}_FILE", "value": f"{SECRETS}/{variable}"})
    files = [variable for variable, value in sorted(values["secrets"].items()) if delivery(value) == "file"]
    if files:
        items = [{"key": variable, "path": variable} for variable in files]
        volumes.append({"name": "secrets", "secret": {"secretName": name, "defaultMode": ONLY_OWNER, "items": items}})
        mounts.append({"name": "secrets", "mountPath": SECRETS, "readOnly": True})
    engine, *others = pod["containers"]
    engine = {
        **engine, "env": [*engine.get("env", ()), *env], "volumeMounts": [*engine.get("volumeMounts", ()), *mounts],
    }  # fmt: skip
    return {**pod, "containers": [engine, *others], "volumes": [*pod.get("volumes", ()), *volumes]}


def delivery(value: Secret | SecretRef) -> str:
    ref = value.ref if isinstance(value, Secret) else value
    return ref.delivery if ref else "file"


def secret_manifest(values: Values, labels: Mapping[str, str], name: str, owner: Json) -> Json:
    """Return the Secret with the values of a replica's secrets; it goes when its owner goes."""
    data = {variable: value.reveal() for variable, value in values["secrets"].items() if isinstance(value, Secret)}
    meta = {"name": name, "labels": dict(labels), "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}


def _deployment_seen(values: Values, live: Mapping[str, Any]) -> Values:
    spec = live["spec"]
    pod = spec["template"]["spec"]
    return {
        **values,
        "namespace": live["metadata"]["namespace"],
        "replicas": spec.get("replicas"),
        "pod": as_seen(values["pod"], pod),
        "account": pod.get("serviceAccountName"),
    }


# ---------------------------------------------------------------- the others


def _service(values: Values, _labels: Labels, _name: str) -> Json:
    chosen = values["backends"][0] if values["backends"] else NOBODY
    port = {"name": PORT_NAME, "port": values["port"], "targetPort": PORT_NAME, "protocol": "TCP"}
    return {"spec": {"type": "ClusterIP", "selector": {ID: chosen}, "ports": [port]}}


def _service_seen(values: Values, live: Mapping[str, Any]) -> Values:
    spec = live["spec"]
    selector = spec.get("selector") or {}
    chosen = selector.get(ID) if len(selector) == 1 else str(selector)  # any other key selects fewer pods
    port: Mapping[str, Any] = next((each for each in spec.get("ports") or () if each.get("name") == PORT_NAME), {})
    backends = () if chosen in {NOBODY, None} else (chosen,)
    meta = live["metadata"]
    return {
        **values,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "port": port.get("port"),
        "backends": backends,
    }


def _service_clear(body: Json, live: Mapping[str, Any]) -> Json:
    """Return the patch to ours alone: ports are told apart by number, so one that somebody changed would stay."""
    ports: list[Json] = body["spec"]["ports"]
    there = [each["port"] for each in live["spec"].get("ports") or ()]
    return {} if there == [each["port"] for each in ports] else {"spec": {"ports": ports}}


def _service_outputs(values: Values, live: Mapping[str, Any]) -> Values:
    meta = live["metadata"]
    return {"url": f"http://{meta['name']}.{meta['namespace']}.svc:{values['port']}/v1"}


def _namespace(values: Values, _labels: Labels, _name: str) -> Json:
    return {"metadata": {"labels": dict(values["labels"])}}


def _namespace_seen(values: Values, live: Mapping[str, Any]) -> Values:
    meta = live["metadata"]
    return {**values, "name": meta["name"], "labels": as_seen(values["labels"], meta.get("labels") or {})}


def _account_seen(values: Values, live: Mapping[str, Any]) -> Values:
    token = live.get("automountServiceAccountToken")
    return {**values, "namespace": live["metadata"]["namespace"], "token": token}


def _budget(values: Values, _labels: Labels, _name: str) -> Json:
    selector = {"matchLabels": {ID: values["selector"]}}
    return {"spec": {"maxUnavailable": values["max_unavailable"], "selector": selector}}


def _budget_seen(values: Values, live: Mapping[str, Any]) -> Values:
    spec = live["spec"]
    return {
        **values,
        "namespace": live["metadata"]["namespace"],
        "selector": ((spec.get("selector") or {}).get("matchLabels") or {}).get(ID),
        "max_unavailable": spec.get("maxUnavailable"),
    }


RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        NAMESPACE: Resource("v1", "Namespace", "/api/v1/namespaces", _namespace, _namespace_seen, grace=60.0),
        ACCOUNT: Resource(
            "v1", "ServiceAccount", "/api/v1/namespaces/{namespace}/serviceaccounts",
            lambda values, _labels, _name: {"automountServiceAccountToken": values["token"]}, _account_seen,
        ),
        BUDGET: Resource(
            "policy/v1", "PodDisruptionBudget", "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
            _budget, _budget_seen,
        ),
        DEPLOYMENT: Resource(
            "apps/v1", "Deployment", "/apis/apps/v1/namespaces/{namespace}/deployments", _deployment, _deployment_seen,
            lambda _values, live: {"selector": (live["metadata"].get("labels") or {}).get(ID, "")}, grace=30.0,
        ),
        SERVICE: Resource(
            "v1", "Service", "/api/v1/namespaces/{namespace}/services", _service, _service_seen, _service_outputs,
            clear=_service_clear,
        ),
    }
)  # fmt: skip
