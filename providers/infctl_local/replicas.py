"""Owns replicas on this machine: their processes started, started again and stopped; each safe to repeat.

Knows nothing of routes, plans or diffs.
"""

from __future__ import annotations

from pathlib import Path

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Values
from infctl_local import process
from infctl_local.launch import HOST, deliver, engine_spec, withdraw
from infctl_local.objects import Found, Objects, describe, run_in
from infctl_local.ports import Range, choose_port, is_free

GRACE_S = 10.0  # between SIGTERM and SIGKILL; requests are drained before anything is stopped


def run_replica(objects: Objects, ports: Range, root: Path, change: Change, after: Values) -> Found:
    """Make the replica's process run; one that runs gets only what changes in place. Raises SpawnError, OSError."""
    found = objects.find(change.name, change.id)
    if found and run_in(found.path).running:
        return objects.write(describe(change, after, found.record.outputs, found))
    if found:
        process.stop(found.path, GRACE_S)  # a child that lost its supervisor would hold the port
    with objects.changing:
        objects.sweep()
        port = _port(objects, ports, change, after, found)
        found = objects.write(describe(change, after, {"url": f"http://{HOST}:{port}", "port": port}, found))
    delivery = deliver(found.path, after["env"])
    process.spawn(found.path, engine_spec(found, root, delivery), delivery.secret, delivery.hidden)
    return found


def stop_replica(found: Found) -> None:
    """End the process and take its secrets away; it can be made to run again."""
    process.stop(found.path, GRACE_S)
    withdraw(found.path)


def _port(objects: Objects, ports: Range, change: Change, after: Values, found: Found | None) -> int:
    """Return the engine's port: the one it must have, the one it had, or a free one."""
    taken = objects.ports(besides=change.id)
    fixed: int = after["port"]
    if not fixed:
        kept = int(found.record.outputs["port"]) if found else 0
        return choose_port(HOST, objects.seed(change.id), taken, ports, kept)
    if fixed in taken or not is_free(HOST, fixed):
        raise ProviderError(
            f"Port {fixed} of {change.address} is in use",
            "another revision or replica, or another program, listens there",
            hint="leave `port` out and let the command listen on $PORT: then revisions can stand side by side",
            address=str(change.address),
        )
    return fixed
