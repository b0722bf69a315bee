"""Owns what is done to a Deployment besides writing it: it is stopped, and drained of the requests it still answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Observed, Progress
from infctl_kubernetes.client import Api, Json, UnreachedError
from infctl_kubernetes.errors import ApiError
from infctl_kubernetes.kinds import DEPLOYMENT, SERVICE
from infctl_kubernetes.labels import ID, MANAGER, STOPPED, read_labels
from infctl_kubernetes.manifests import RESOURCES
from infctl_kubernetes.objects import PAUSE, Cluster, find, seen_as

SLICES = "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"
PODS = "/api/v1/namespaces/{}/pods"
SETTLE = 2.0  # seconds until the proxies of all nodes know of a change: kube-proxy's minSyncPeriod is 1 s
LAG = 5.0  # seconds that the controllers of a busy cluster may take from a Service's change to its endpoints
METRICS_TIME = 5.0  # seconds for one engine to tell its figures
# What engines call the requests that they are at, waiting ones included: docs.vllm.ai (metrics), docs.sglang.ai
# (production metrics), github.com/ggml-org/llama.cpp tools/server, huggingface.co/docs/text-generation-inference.
BUSY = re.compile(
    r"^(?:vllm:num_requests_(?:running|waiting)|sglang:num_(?:running|queue)_reqs|llamacpp:requests_(?:processing|deferred)"
    r"|tgi_(?:queue_size|batch_current_size))(?:\{[^}]*\})?\s+([\d.eE+-]+)",
    re.MULTILINE,
)


def stop(cluster: Cluster, change: Change) -> Observed | None:
    """Take the replicas down and keep the Deployment; return what stands then."""
    live = find(cluster, change)
    described = read_labels(live) if live else None
    if live is None or described is None:
        return None
    meta = live["metadata"]
    path = RESOURCES[DEPLOYMENT].at(meta["namespace"], meta["name"])
    cluster.api.merge(path, {"metadata": {"annotations": {STOPPED: "true"}}, "spec": {"replicas": 0}}, MANAGER)
    deadline = time.monotonic() + change.timeout
    while pods_of(cluster.api, meta["namespace"], change.id):
        if time.monotonic() > deadline:
            raise ProviderError(f"{change.address} is stopped, but its pods do not end", address=str(change.address))
        time.sleep(PAUSE)
    live = cluster.api.get(path)
    return seen_as(cluster, DEPLOYMENT, live, described)


def drain(cluster: Cluster, change: Change, emit: Emit) -> Observed | None:
    """Wait until the Deployment's pods are sent nothing any more and, where they tell it, are at no request.

    After `change.timeout` seconds it is left at that: what is still answered then has the pod's grace period.
    """
    live = find(cluster, change)
    described = read_labels(live) if live else None
    if live is None or described is None:
        return None
    space, api = live["metadata"]["namespace"], cluster.api
    if _is_selected(api, space, change.id):  # nobody switched it off: waiting would be for nothing
        return seen_as(cluster, DEPLOYMENT, live, described)
    deadline, settled = time.monotonic() + change.timeout, False
    while time.monotonic() < deadline:
        pods = pods_of(api, space, change.id)
        if _is_sent_to(api, space, {pod["metadata"]["name"] for pod in pods}):
            emit(Progress("drain", "its Service still sends to it"))
        elif not settled:
            settled = True
            time.sleep(min(SETTLE, max(0.0, deadline - time.monotonic())))
            continue
        elif busy := sum(_requests(api, space, pod) for pod in pods):
            emit(Progress("drain", f"{busy} requests"))
        else:
            break
        time.sleep(PAUSE)
    return seen_as(cluster, DEPLOYMENT, live, described)


def await_endpoints(cluster: Cluster, service: Observed) -> None:
    """Wait a little until the Service's new replicas are where its proxies look: an address that is told should answer.

    Not longer than LAG seconds: a replica that is stopped never comes.
    """
    deadline, space = time.monotonic() + LAG, str(service.outputs["namespace"])
    selector = f"kubernetes.io/service-name={service.outputs['name']}"
    pods = {pod["metadata"]["name"] for pod in pods_of(cluster.api, space, str(service.values["backends"][0]))}
    while pods and time.monotonic() < deadline:
        slices = cluster.api.pages(SLICES.format(space), labelSelector=selector)
        if any(name in pods for each in slices for name in _ready(each)):
            return
        time.sleep(PAUSE)


def pods_of(api: Api, namespace: str, ident: str) -> list[Json]:
    return list(api.pages(PODS.format(namespace), labelSelector=f"{ID}={ident}"))


def _is_selected(api: Api, namespace: str, ident: str) -> bool:
    services = api.pages(RESOURCES[SERVICE].at(namespace), labelSelector=ID)
    return any((service["spec"].get("selector") or {}).get(ID) == ident for service in services)


def _is_sent_to(api: Api, namespace: str, pods: set[str]) -> bool:
    if not pods:
        return False
    slices = api.pages(SLICES.format(namespace), labelSelector=ID)  # a slice has the labels of its Service
    return any(name in pods for each in slices for name in _ready(each))


def _ready(slice_: Json) -> Iterable[str]:
    for endpoint in slice_.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready", True):
            yield (endpoint.get("targetRef") or {}).get("name", "")


def _requests(api: Api, namespace: str, pod: Json) -> int:
    """Return the requests that a pod is at, as its engine tells it; 0 where it tells nothing."""
    port = pod["spec"]["containers"][0]["ports"][0]["containerPort"]
    path = f"{PODS.format(namespace)}/{pod['metadata']['name']}:{port}/proxy/metrics"
    try:
        status, body = api.reply("GET", path, None, {}, METRICS_TIME)
    except (UnreachedError, ApiError):
        return 0
    text = body.decode(errors="replace") if status == 200 else ""  # noqa: PLR2004
    return int(sum(float(found) for found in BUSY.findall(text)))
