"""Owns whether a model's replicas answer: what the cluster says of their pods, then what the engine in each says.

The engine is asked through the API server, so that who applies need not be able to reach pods. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from infctl.provider.readiness import ask
from infctl.provider.telling import telling_lines
from infctl.provider.values import Health, Observed, Probe
from infctl_kubernetes.client import Api, Json
from infctl_kubernetes.errors import ApiError
from infctl_kubernetes.kinds import DEPLOYMENT
from infctl_kubernetes.labels import is_stopped
from infctl_kubernetes.manifests import RESOURCES
from infctl_kubernetes.pod import ENGINE
from infctl_kubernetes.replicas import PODS, pods_of

READ_BACK = 400  # lines; five failed starts of vLLM write fewer
HOPELESS = 2  # restarts in a row; the kubelet waits 10 s, then twice as long each time
AT_ONCE = 8
_NO_IMAGE = ("not found", "manifest unknown", "unauthorized", "denied", "forbidden", "invalid", "no such host")
_NEVER = ("exceeded quota", "is forbidden", "denied the request", "denied request")


class Trouble(NamedTuple):
    """What keeps a pod from answering; `last` is whether the log of its last run says why, `dead` whether it stays."""

    detail: str
    dead: bool = False
    last: bool | None = None  # None: there is no log


def probe_deployment(api: Api, what: Observed) -> Health:
    """Return the health of all replicas together: ready when each of them answered."""
    space, name = str(what.outputs["namespace"]), str(what.outputs["name"])
    live = api.find(RESOURCES[DEPLOYMENT].at(space, name))
    if live is None or live["metadata"]["uid"] != what.outputs["uid"]:
        return Health(ready=False, detail="it is gone", dead=True)
    if is_stopped(live):
        return Health(ready=False, detail="it is stopped")
    wanted = int(live["spec"].get("replicas") or 0)
    pods = [pod for pod in pods_of(api, space, what.id) if not pod["metadata"].get("deletionTimestamp")]
    if refused := _refused(live):
        return refused
    for pod in pods:
        if trouble := read_trouble(pod):
            return _in_words(api, space, pod, trouble, len(pods))
    ready = [pod for pod in pods if is_ready(pod)]
    if len(ready) < wanted:
        return Health(ready=False, detail=f"{len(ready)} of {wanted} pods are ready")
    return _asked(api, space, ready[:wanted], Probe(**what.values["probe"]))


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def read_trouble(pod: Mapping[str, Any]) -> Trouble | None:
    """Return what is wrong with a pod, None while there is nothing to say. Pure."""
    status = pod.get("status") or {}
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False" and one.get("reason") == "Unschedulable":
            return Trouble(f"no node takes it: {one.get('message', '')}")
    if status.get("phase") == "Failed":
        return Trouble(
            f"{status.get('reason') or 'it failed'}: {status.get('message', '')}".strip(": "), dead=False, last=False
        )
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if found := _of_container(each):
            return found
    return None


def _of_container(each: Mapping[str, Any]) -> Trouble | None:
    state, restarts = each.get("state") or {}, int(each.get("restartCount") or 0)
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    before = ended or (each.get("lastState") or {}).get("terminated") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        final = reason in {"InvalidImageName", "ErrImageNeverPull"} or any(
            word in message.lower() for word in _NO_IMAGE
        )
        return Trouble(f"its image cannot be pulled: {message or reason}", dead=final)
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return Trouble(f"it cannot be started: {message or reason}")
    if before and (reason == "CrashLoopBackOff" or ended or restarts):
        if reason != "CrashLoopBackOff" and not ended and (restarts < HOPELESS or each.get("ready")):
            return None
        times = f", after {restarts} restart{'s' if restarts > 1 else ''}" if restarts else ""
        return Trouble(f"{_how_it_ended(before)}{times}", dead=restarts >= HOPELESS, last=not ended)
    return None


def _how_it_ended(ended: Mapping[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return "it was killed because it ran out of memory"
    said = f": {ended['message']}" if ended.get("message") else ""
    return f"it ended with exit code {ended.get('exitCode')}{said}"


def _refused(live: Mapping[str, Any]) -> Health | None:
    """Return why no pod is made at all: a quota, an admission rule, a namespace that goes."""
    for one in (live.get("status") or {}).get("conditions") or ():
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            message = str(one.get("message", ""))
            dead = any(word in message for word in _NEVER)
            return Health(ready=False, detail=f"its pods are refused: {message}", dead=dead, log=(message,))
    return None


def _in_words(api: Api, space: str, pod: Json, trouble: Trouble, among: int) -> Health:
    which = f"{pod['metadata']['name']}: " if among > 1 else ""
    log = () if trouble.last is None else telling_lines(tuple(log_lines(api, space, pod, READ_BACK, last=trouble.last)))
    return Health(ready=False, detail=f"{which}{trouble.detail}", dead=trouble.dead, log=log or (trouble.detail,))


def _asked(api: Api, space: str, pods: list[Json], probe: Probe) -> Health:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        healths = list(pool.map(lambda pod: _ask(api, space, pod, probe), pods))
    return next((health for health in healths if not health.ready), Health(ready=True))


def _ask(api: Api, space: str, pod: Json, probe: Probe) -> Health:
    port = next(each for each in pod["spec"]["containers"] if each["name"] == ENGINE)["ports"][0]["containerPort"]
    through = f"{PODS.format(space)}/{pod['metadata']['name']}:{port}/proxy"

    def send(path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if body else {}
        return api.reply("POST" if body else "GET", f"{through}{path}", body, headers, timeout)

    return ask("", probe, send=send)


def log_lines(api: Api, space: str, pod: Json, tail: int, *, follow: bool = False, last: bool = False) -> Iterator[str]:
    """Yield the lines of a pod's engine, oldest first; of its `last` run, or on and on with `follow`."""
    path = f"{PODS.format(space)}/{pod['metadata']['name']}/log"
    more = {**({"follow": "true"} if follow else {}), **({"previous": "true"} if last else {})}
    held = b""
    try:
        for chunk in api.stream(path, container=ENGINE, tailLines=tail, **more):
            *whole, held = (held + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
    except ApiError as failure:
        yield failure.message  # the kubelet has none, or cannot be reached: that is what there is to say
    if held:
        yield held.decode(errors="replace")


def deployment_lines(api: Api, what: Observed, tail: int, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a Deployment's pods, one pod after the other. `follow` goes on with the newest pod's."""
    space = str(what.outputs["namespace"])
    pods = sorted(pods_of(api, space, what.id), key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    for pod in pods[-1:] if follow else pods:
        prefix = f"{pod['metadata']['name']} | " if len(pods) > 1 else ""
        for line in log_lines(api, space, pod, tail, follow=follow):
            yield f"{prefix}{line}"
