"""Owns whether a replica answers: what its daemon says of the container, then what the engine itself says.

Asks the engine's own port on the host's loopback, never the proxy. Reads only.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from infctl.provider.errors import ProviderError
from infctl.provider.readiness import ask
from infctl.provider.telling import telling_lines
from infctl.provider.values import Health, Observed, Probe
from infctl_docker.errors import HostDown
from infctl_docker.facts.daemon import parse_time
from infctl_docker.hosts import Host

READ_BACK = 400  # lines; five failed starts of vLLM write fewer
HOPELESS = 3  # restarts in a row; Docker waits 100 ms, then twice as long each time (docs.docker.com, restart policies)
SOON = 600.0  # seconds from one start to the next; large models load for minutes before they run out of memory
KILLED = 137  # 128 + SIGKILL
ENDED = frozenset({"exited", "dead", "removing"})


def probe_replica(host: Host, doc: Mapping[str, Any] | None, what: Observed) -> Health:
    """Return the replica's health; what ended, or ends again and again, is dead, with the lines that say why."""
    if doc is None:
        return Health(ready=False, detail="it is gone", dead=True)
    state, restarts = doc["State"], int(doc.get("RestartCount") or 0)
    if state.get("Restarting") or state["Status"] in ENDED:
        dead = state["Status"] in ENDED or _is_hopeless(doc)
        return Health(ready=False, detail=_how_it_ended(doc, restarts), dead=dead, log=_log(host, doc))
    if state.get("Paused"):
        return Health(ready=False, detail="somebody paused it: docker unpause")
    if not state["Running"]:
        return Health(ready=False, detail="it never started", dead=True, log=_log(host, doc))
    health = _ask(host, what)
    if not health.ready and _is_hopeless(doc):
        before = {**doc, "State": {**state, **_last_end(host, doc)}}
        return Health(ready=False, detail=_how_it_ended(before, restarts), dead=True, log=_log(host, doc))
    return health


def _ask(host: Host, what: Observed) -> Health:
    port = int(what.outputs["endpoint"].rpartition(":")[2])
    try:
        return ask(f"http://127.0.0.1:{port}", Probe(**what.values["probe"]), connect=lambda: host.dial(port))
    except HostDown as down:  # an engine that loads has nobody at its port: the proxy of Docker hangs up
        return Health(ready=False, detail=f"it does not answer yet: {down.reason}")
    except http.client.HTTPException as failure:
        return Health(ready=False, detail=str(failure))


def _is_hopeless(doc: Mapping[str, Any]) -> bool:
    """Return whether a container ends again and again: many times, and soon, by its daemon's own clock.

    The count is of its whole life: three ends in a year are no loop.
    """
    restarts = int(doc.get("RestartCount") or 0)
    if restarts < HOPELESS:
        return False
    lived = parse_time(str(doc["State"].get("StartedAt", ""))) - parse_time(str(doc.get("Created", "")))
    return lived < restarts * SOON


def _last_end(host: Host, doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the run before this one ended, from the daemon's events: an inspect tells it only between two runs."""
    filters = json.dumps({"container": [doc["Id"]], "event": ["die", "oom"]})
    times = (parse_time(text) for text in (doc["Created"], doc["State"]["StartedAt"]))
    since, until = (f"{seconds:.6f}" for seconds in times)
    try:
        (answer,) = host.read((f"/events?since={since}&until={until}&filters={quote(filters)}",))
    except ProviderError:
        return {"ExitCode": None}
    events = [json.loads(line) for line in answer.body.splitlines()] if answer.status == HTTPStatus.OK else []
    codes = [one["Actor"]["Attributes"].get("exitCode") for one in events if one.get("Action") == "die"]
    oom = any(one.get("Action") == "oom" for one in events)
    return {"ExitCode": int(codes[-1]) if codes else None, "OOMKilled": oom}


def log_lines(host: Host, container: str, *, tail: int, follow: bool) -> Iterator[str]:
    """Yield a container's lines, oldest first; with `follow`, go on until it ends."""
    if not follow:
        yield from host.api.logs(container, tail=tail).decode(errors="replace").splitlines()
        return
    held = b""
    for chunk in host.api.logs(container, tail=tail, follow=True, stream=True):
        *whole, held = (held + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if held:
        yield held.decode(errors="replace")


def _log(host: Host, doc: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return telling_lines(tuple(log_lines(host, str(doc["Id"]), tail=READ_BACK, follow=False)))
    except ProviderError:
        return ()  # the daemon has none, or just removes it: what is known is said all the same


def _how_it_ended(doc: Mapping[str, Any], restarts: int) -> str:
    state = doc["State"]
    times = f"{restarts} restart{'s' if restarts > 1 else ''}"
    code, again = state.get("ExitCode", 0), f", after {times}" if restarts else ""
    limit = int(doc["HostConfig"].get("Memory") or 0)
    if state.get("OOMKilled"):
        allowed = f" (its limit is {limit / 2**20:.0f} MiB)" if limit else ""
        return f"it was killed because it ran out of memory{allowed}{again}"
    if state.get("Error"):
        return f"it could not be started: {state['Error']}{again}"
    if code is None:
        return f"it ends again and again: {times}"
    if code == KILLED:
        return f"it was killed (exit code {code}){again}"
    return f"it ended with exit code {code}{again}"
