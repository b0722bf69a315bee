"""Owns models' stable addresses here: the relay's process, the routes it is told, and waiting until nobody is served.

Knows nothing of engines, plans or diffs.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from infctl.address import parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Progress, Values
from infctl_local import process
from infctl_local.kinds import RELAY
from infctl_local.objects import Found, Objects, describe, run_in
from infctl_local.ports import Range, choose_port, is_free
from infctl_local.relay_client import RelayClient, RelayError, RelayStatus
from infctl_local.routes import Backend, Route, remove_route, socket_path

START_S = 30.0  # the relay answers some 0.3 s after its start; a busy machine takes longer
POLL_S = 0.05
WORD_S = 1.0  # between two words about a drain


def run_relay(objects: Objects, change: Change, after: Values) -> Found:
    """Make the target's relay run and answer commands. Raises SpawnError, RelayError, OSError."""
    with objects.changing:
        objects.sweep()
        found = objects.find(change.name, change.id)
        run = objects.path(change.name, change.id)
        found = objects.write(describe(change, after, {"run": run.name}, found))
    argv = (sys.executable, "-P", "-m", "infctl_local.relay", str(found.path))
    process.spawn(found.path, process.Spec(argv))
    RelayClient(found.path).wait_ready(START_S)
    return found


def forget_relay_socket(found: Found) -> None:
    """Remove the place outside its directory where the relay had its socket, if its own path was too long."""
    socket = socket_path(found.path)
    if socket.parent != found.path:
        shutil.rmtree(socket.parent, ignore_errors=True)


def put_route(objects: Objects, ports: Range, change: Change, after: Values) -> Found:
    """Make the model's address lead to these backends. Raises ProviderError, RelayError, OSError."""
    relay = objects.live / after["relay"]
    with objects.changing:
        objects.sweep()
        found = objects.find(change.name, change.id)
        port = _port(objects, ports, change, after, found)
        record = describe(change, after, {"url": _url(after["bind"], port), "port": port}, found)
        if found is None:  # described first: a route is never in the relay without an object
            found = objects.write(record)
    key = route_key(found)
    if _must_open(relay, key, after["bind"], port) and not is_free(after["bind"], port):
        raise ProviderError(
            f"Port {port} on {after['bind']} is in use",
            "another program listens there",
            hint=f"end that program, or set models.{after['model']}.expose.port to another port",
            address=str(change.address),
        )
    backends = tuple(Backend(url, url) for url in after["backends"])
    RelayClient(relay).put_route(
        Route(key, after["bind"], port, tuple(after["served_names"]), backends, hold_s=after["hold"])
    )
    return objects.write(record)


def drop_route(objects: Objects, found: Found) -> None:
    """Close the model's address; a relay that does not run must not find it when it starts again."""
    relay = objects.live / found.record.values["relay"]
    if run_in(relay).running:
        RelayClient(relay).delete_route(route_key(found))
    else:
        remove_route(relay, route_key(found))


def route_key(found: Found) -> str:
    """Return what the relay calls this route: its own for ever, also when its model is renamed and the name reused."""
    labels = found.record.labels
    return f"{labels.model[:27]}-{labels.id}"  # 40 characters at most, as the relay's names may have


def listening(relay: Path) -> frozenset[str]:
    """Return the keys of the routes that the relay in this directory listens for; none where it does not run."""
    status = _status(relay)
    return frozenset(route.model for route in status.routes if route.listening) if status else frozenset()


def drain(objects: Objects, found: Found, timeout_s: float, emit: Emit) -> None:
    """Wait until no relay of this target has a request at the replica; what is left after `timeout_s` is cut."""
    relay = _relay_of(objects, found)
    url = found.record.outputs["url"]
    deadline = time.monotonic() + timeout_s
    said_at, most = 0.0, 0
    while relay and (status := _status(relay)) and (busy := status.in_flight(url)):
        now = time.monotonic()
        most = max(most, busy)
        if now >= deadline:
            emit(Progress("drain", f"{busy} still running after {timeout_s:g} s: cut", most - busy, most, "requests"))
            return
        if now - said_at >= WORD_S:
            said_at = now
            emit(Progress("drain", f"{busy} still running", most - busy, most, "requests"))
        time.sleep(POLL_S)


def _relay_of(objects: Objects, replica: Found) -> Path | None:
    """Return the directory of the relay that serves the replica's target."""
    found, _ = objects.scan()
    for one in found:
        mine = (one.record.target, one.record.labels.lineage) == (replica.record.target, replica.record.labels.lineage)
        if mine and parse_address(one.record.labels.address).kind == RELAY:
            return one.path
    return None


def _status(relay: Path) -> RelayStatus | None:
    """Return what the relay says, None where it does not run: then nobody is served."""
    if not run_in(relay).running:
        return None
    try:
        return RelayClient(relay).status()
    except RelayError:
        return None  # its supervisor is just starting it again


def _must_open(relay: Path, key: str, bind: str, port: int) -> bool:
    """Tell whether the relay would have to open this address: it does not listen there for this route yet."""
    status = _status(relay)
    routes = status.routes if status else ()
    return not any((r.model, r.bind, r.port, r.listening) == (key, bind, port, True) for r in routes)


def _port(objects: Objects, ports: Range, change: Change, after: Values, found: Found | None) -> int:
    """Return the address's port: the one it must have, the one it had, its predecessor's, or a free one."""
    if after["port"]:
        return int(after["port"])
    if found:
        return int(found.record.outputs["port"])
    kept = change.before.outputs.get("port", 0) if change.before else 0
    return choose_port(after["bind"], objects.seed(change.id), objects.ports(besides=change.id), ports, kept)


def _url(bind: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bind) or (f"[{bind}]" if ":" in bind else bind)  # noqa: S104
    return f"http://{host}:{port}/v1"
