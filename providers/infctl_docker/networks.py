"""Owns the private network of a stack on each host: made, found, removed; each safe to repeat.

Knows nothing of what is connected to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from infctl.address import parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Observed
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host
from infctl_docker.kinds import KINDS, NETWORK
from infctl_docker.labels import Described, read_labels, write_labels
from infctl_docker.parts import Doc, Found, Part, Rack, wanted


def make_network(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed:
    """Return the network of this change's id, made unless it stands."""
    del rack, emit
    values = wanted(change, KINDS[NETWORK].fields)
    standing = _find(host, change)
    if standing is None:
        host.api.create_network(
            change.name, driver="bridge", options=dict(values["options"]), labels=write_labels(change, {}),
            check_duplicate=True,
        )  # fmt: skip
        standing = _find(host, change)
    described = read_labels(standing["Labels"]) if standing else None
    if standing is None or described is None:
        raise ProviderError(
            f"The network {change.name} on {host.name} is gone again", hint="run the same command again"
        )
    return _observed(standing, described, host.name)


def remove_network(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Remove the network if it stands. Raises ProviderError while strangers are connected to it."""
    del rack, emit
    standing = _find(host, change)
    if standing is not None:
        try:
            host.api.remove_network(standing["Id"])
        except DaemonError as failure:
            if failure.status != HTTPStatus.NOT_FOUND:
                raise
    return None


def keep_network(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """A network serves nobody by itself: there is nothing to wait for."""
    del rack, host, change, emit
    return None


def observe_networks(rack: Rack, found: Found) -> Iterator[Observed]:
    for doc in found.networks:
        described = read_labels(doc.get("Labels"))
        if (
            described
            and found.is_ours(described, rack.context.target)
            and parse_address(described.labels.address).kind == NETWORK
        ):
            yield _observed(doc, described, found.host.name)


def _observed(doc: Doc, described: Described, place: str) -> Observed:
    values = dict(described.values)
    options = doc.get("Options") or {}
    if any(options.get(name) != value for name, value in values["options"].items()):
        values["options"] = dict(options)
    address = parse_address(described.labels.address)
    outputs = {"network": doc["Name"]}
    labels = described.labels
    return Observed(address, labels.id, described.name, described.target, values, outputs, labels, place=place)


def _find(host: Host, change: Change) -> Doc | None:
    """Return the network of this change's id. Raises ProviderError when its name is a stranger's."""
    named: list[Doc] = [one for one in host.ask("/networks") if one["Name"] == change.name or _id(one) == change.id]
    ours = next((one for one in named if _id(one) == change.id), None)
    if ours is None and named and change.after is not None:
        raise ProviderError(
            f"{host.name} has a network {change.name} already",
            "it is not one that this run made",
            hint=f"remove or rename it: docker network rm {change.name}",
            address=str(change.address),
        )
    return ours


def _id(doc: Doc) -> str:
    described = read_labels(doc.get("Labels"))
    return described.labels.id if described else ""


PART = Part(make_network, remove_network, observe_networks, keep_network)
