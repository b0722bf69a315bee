"""Owns what a target's wishes are in native resources: a process per slot, a route per model, one relay.

Pure, and quick enough for ten thousand models. Knows nothing of what runs already.
"""

from __future__ import annotations

from collections.abc import Iterator

from infctl.address import Address
from infctl.provider.values import Deployment, Desired, Ref, TargetWant, Template, Values
from infctl_local.kinds import PROCESS, RELAY, ROUTE

HOLD_S = 30.0  # a request waits so long for a replica while none is there; half of the 60 s that proxies allow


def lower(want: TargetWant) -> tuple[Desired, ...]:
    """Return every resource of the target: the relay where anything is routed, then each model's own."""
    if not want.deployments:
        return ()
    relay = Desired(Address(RELAY, want.target), want.target, {})
    reach = Ref(relay.address, "run")
    return (relay, *(made for wish in want.deployments for made in _lower_model(wish, want.target, reach)))


def _lower_model(wish: Deployment, target: str, relay: Ref) -> Iterator[Desired]:
    values, spec_hash = process_values(wish), wish.spec_hash
    backends = []
    for slot in wish.slots:
        address = Address(PROCESS, wish.model, f"{target}/{slot}")
        backends.append(Ref(address, "url"))
        yield Desired(address, target, values, wish.model, wish.revision, spec_hash)
    route = {
        "model": wish.model,
        "bind": wish.bind,
        "port": wish.port,
        "served_names": wish.served_names,
        "backends": tuple(backends),
        "relay": relay,
        "hold": HOLD_S,
    }
    yield Desired(Address(ROUTE, wish.model, target), target, route, wish.model, wish.revision)


def process_values(wish: Deployment) -> Values:
    """Return the values that all replicas of a deployment share."""
    template = wish.template
    return {
        "revision": wish.revision,
        "engine": template.engine,
        "engine_version": template.engine_version,
        "model": template.model_uri,
        "model_sha256": template.model_sha256,
        "task": template.task,
        "args": template.args,
        "env": template.env,
        "command": template.command,
        "port": template.port,
        "probe": _probe_values(template),
        "memory": template.memory,
        "tags": wish.tags,
    }


def _probe_values(template: Template) -> Values:
    probe = template.probe
    return {"kind": probe.kind, "path": probe.path, "model": probe.model, "requests": probe.requests}
