"""Owns replicas on hosts: containers made, started, changed in place, stopped and removed; each safe to repeat.

A container is found by the infctl.id in its labels, whatever it is called now. Knows nothing of routes or plans.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from urllib.parse import quote

from infctl.address import parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Progress, Share, Values
from infctl_docker import sighting
from infctl_docker.container import STOP_SECONDS, Made, body, part_of, secret_files, update
from infctl_docker.deadline import within
from infctl_docker.delivery import put_secrets
from infctl_docker.errors import DaemonError
from infctl_docker.grant import grant
from infctl_docker.hosts import Host
from infctl_docker.images import Image, have_image
from infctl_docker.kept_logs import LINES, keep_log
from infctl_docker.kinds import CONTAINER, KINDS
from infctl_docker.labels import read_labels, write_labels
from infctl_docker.models import deliver_model
from infctl_docker.parts import Doc, Found, Part, Rack, wanted
from infctl_docker.probing import log_lines
from infctl_docker.promises import ID
from infctl_docker.reading import inspect_path, inspected, value_of

PORT_TRIES = 20
TAKEN = ("port is already allocated", "address already in use")  # what daemons say of a host's port that is not free


def make_replica(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed:
    """Make the replica's container run; one that runs gets only what changes in place."""
    values = wanted(change, KINDS[CONTAINER].fields)
    doc = _standing(host, change)
    if doc is not None and doc["State"]["Running"]:
        change_in_place(host, doc, values)
    elif doc is None or not _start_again(rack, host, doc, change, emit):
        doc = _make(rack, host, change, values, emit)
    return _seen(rack, host, change, str(doc["Id"]))


def take_down(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Stop the container, gently, and remove it where that is asked: the end of its log is kept."""
    del emit
    doc = find(host, change.id) or _adopted(host, change)
    if doc is None:
        return None
    ident = str(doc["Id"])
    try:
        if doc["State"]["Running"]:
            host.api.stop(ident, timeout=STOP_SECONDS)
        if change.do is Do.DELETE:
            _keep_log(rack, host, doc)
            host.api.remove_container(ident, v=True, force=True)
            return None
    except DaemonError:
        if find_by_id(host, ident) is None:  # somebody else removed it meanwhile
            return None
        raise
    return _seen(rack, host, change, ident)


def keep(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Return the container as it stands, nothing to wait for."""
    del emit
    doc = find(host, change.id) or _adopted(host, change)
    return None if doc is None else _seen(rack, host, change, str(doc["Id"]))


def observe_replicas(rack: Rack, found: Found) -> Iterator[Observed]:
    """Yield our containers, and those of strangers that state knows by their id or name."""
    place, target = found.host.name, rack.context.target
    for doc in found.containers:
        described = read_labels(doc["Config"].get("Labels"))
        if described:
            address = parse_address(described.labels.address)
            if address.kind == CONTAINER and found.is_ours(described, target):
                yield sighting.observed(doc, described, address, place)
        else:
            yield from _known(doc, found, target)


def find(host: Host, ident: str) -> Doc | None:
    """Return the inspect of the container with this infctl.id, None where there is none."""
    listed = host.ask(_labelled(ident))
    return next((doc for one in listed if (doc := find_by_id(host, one["Id"]))), None)


def find_by_id(host: Host, container: str) -> Doc | None:
    """Return the inspect of the container with this id of the daemon's, None where there is none."""
    (answer,) = host.read((inspect_path(container),))
    return inspected(host, answer)


def _labelled(ident: str) -> str:
    return "/containers/json?all=1&filters=" + quote(json.dumps({"label": [f"{ID}={ident}"]}))


def _known(doc: Doc, found: Found, target: str) -> Iterator[Observed]:
    name, ident = doc["Name"].removeprefix("/"), str(doc["Id"])
    for known in found.scope.known:
        if known.address.kind == CONTAINER and (
            known.outputs.get("container") == ident or known.id == name or ident.startswith(known.id)
        ):
            as_known = known.id if ident.startswith(known.id) else ident[:12]
            yield sighting.adopted(doc, as_known, target, known.address, found.host.name)
            return


def _adopted(host: Host, change: Change) -> Doc | None:
    """Return the container that state knows and that has no labels of ours, if it stands."""
    ident = change.before.outputs.get("container") if change.before and change.before.id == change.id else None
    doc = find_by_id(host, str(ident)) if ident else None
    return doc if doc and not read_labels(doc["Config"].get("Labels")) else None


def _seen(rack: Rack, host: Host, change: Change, container: str) -> Observed:
    doc = find_by_id(host, container)
    if doc is None:
        raise _gone(host, change)
    described = read_labels(doc["Config"].get("Labels"))
    if described is None:
        return sighting.adopted(doc, change.id, rack.context.target, change.address, host.name)
    return sighting.observed(doc, described, change.address, host.name)


def _keep_log(rack: Rack, host: Host, doc: Doc) -> None:
    described = read_labels(doc["Config"].get("Labels"))
    if described is None:
        return
    with suppress(ProviderError, OSError):  # it goes all the same
        keep_log(rack.logs, described.labels, tuple(log_lines(host, str(doc["Id"]), tail=LINES, follow=False)))


# ---------------------------------------------------------------- to make


def _make(rack: Rack, host: Host, change: Change, values: Values, emit: Emit) -> Doc:
    """Return a new container that runs: its image and model in place, its devices promised to it, on a free port."""
    fetching = within(change.timeout, host.name, emit)
    image = _image(rack, host, str(values["image"]), fetching)
    with rack.copying[host.name]:
        model = deliver_model(rack, host, change, image, fetching)
    sight = rack.sights.of(host)
    totals = {device.uuid: device.memory_total for device in sight.place.devices}
    made = Made(
        image.name, 0, image.entrypoint, image.arguments, model, part_of(values, totals),
        grant(host.name, sight.tell, _shares(values)), sight.daemon.limits,
    )  # fmt: skip
    for port in islice(rack.ports.offer(host, change.id), PORT_TRIES):
        with rack.sights.turn(host):
            doc = _create(rack, host, change, values, replace(made, port=port))
            if _start(host, doc, values, emit):
                return doc
        host.api.remove_container(doc["Id"], v=True, force=True)
    first, last = rack.config.ports
    raise ProviderError(
        f"No port is free on {host.name}",
        f"{PORT_TRIES} of {first}-{last} were tried",
        hint="give the target another range: ports: [FIRST, LAST]",
        address=str(change.address),
    )


def _create(rack: Rack, host: Host, change: Change, values: Values, made: Made) -> Doc:
    """Return a new container as far as its inspect is needed before it runs."""
    labels = write_labels(change, made.values())
    wish = body(values, made, labels)
    with rack.sights.hold(host, _shares(values), change, made.image):
        ident = host.api.create_container_from_config(wish, change.name)["Id"]
    user = rack.images[host.name, str(values["image"])].user
    return {"Id": ident, "Config": {"User": user}, "HostConfig": wish["HostConfig"]}


def _shares(values: Values) -> tuple[Share, ...]:
    return tuple(Share(*share) for share in values["devices"])


def _start_again(rack: Rack, host: Host, doc: Doc, change: Change, emit: Emit) -> bool:
    """Start a container that does not run; False where it never did and cannot at its port, and is removed.

    While it was down its devices may have become somebody else's: they are reserved anew.
    """
    values = wanted(change, KINDS[CONTAINER].fields)
    change_in_place(host, doc, values)
    with rack.sights.turn(host), rack.sights.hold(host, _shares(values), change, doc["Image"]):
        started = _start(host, doc, values, emit)
    if started:
        return True
    if doc["State"]["Status"] == "created":
        host.api.remove_container(doc["Id"], v=True, force=True)
        return False
    described = read_labels(doc["Config"].get("Labels"))
    port = described.made["port"] if described else "?"
    raise ProviderError(
        f"Port {port} of {doc['Name'].removeprefix('/')} is taken on {host.name}",
        "it was free while this did not run, and somebody else listens there now",
        hint=f"stop what listens there (on the host: ss -ltnp 'sport = :{port}'), or make the replica anew: -replace",
    )


def _start(host: Host, doc: Doc, values: Values, emit: Emit) -> bool:
    """Start a container, its secrets written anew; False when its port is taken."""
    emit(Progress("start"))
    put_secrets(host, doc, secret_files(values["env"]))
    try:
        host.api.start(doc["Id"])
    except DaemonError as failure:
        if any(words in failure.message for words in TAKEN):
            return False
        raise
    return True


def _standing(host: Host, change: Change) -> Doc | None:
    """Return the container of this change's id. Raises ProviderError when one that is not has its name."""
    listed, named = host.read((_labelled(change.id), inspect_path(change.name)))
    doc = inspected(host, named)
    if doc is not None and (doc["Config"].get("Labels") or {}).get(ID) == change.id:
        return doc
    ours = [one["Id"] for one in value_of(host, listed)]
    found = find_by_id(host, ours[0]) if ours else _adopted(host, change)
    if found is None and doc is not None:
        raise _name_taken(host, change, doc)
    return found


def _name_taken(host: Host, change: Change, doc: Doc) -> ProviderError:
    described = read_labels(doc["Config"].get("Labels"))
    whose = f"infctl made it for stack {described.labels.stack}" if described else "infctl did not make it"
    return ProviderError(
        f"{host.name} has a container {change.name} already",
        f"{whose}; its image is {doc['Config']['Image']}",
        hint=f"remove it or rename it: docker rename {change.name} OTHER-NAME",
        address=str(change.address),
    )


def _image(rack: Rack, host: Host, name: str, emit: Emit) -> Image:
    """Return the image, looked for once on each host in a run."""
    key = (host.name, name)
    if key not in rack.images:
        rack.images[key] = have_image(host, name, rack.config, rack.context, emit)
    return rack.images[key]


# ---------------------------------------------------------------- to change in place


def change_in_place(host: Host, doc: Doc, values: Values) -> None:
    """Give a container the name, the network, the limits and the restart policy that it should have."""
    described = read_labels(doc["Config"].get("Labels"))
    if described is None:  # a stranger's that was taken in: it is as it is until it is replaced
        return
    made, ident = sighting.made_of(described), str(doc["Id"])
    if doc["Name"].removeprefix("/") != described.name:
        host.api.rename(ident, described.name)
    if doc["State"].get("Paused"):
        host.api.unpause(ident)
    _connect(host, doc, str(values["network"]))
    seen = sighting.seen_values(doc, described.values, made)
    if any(seen[name] != values[name] for name in ("memory", "memory_limit", "cpus", "restart")):
        for name in ("memory_limit", "cpus"):
            if seen[name] and not values[name]:
                raise ProviderError(
                    f"Docker cannot lift the {name.replace('_', ' ')} of a container that stands",
                    f"{described.name} on {host.name} has {seen[name]}",
                    hint=f"make it anew: infctl apply -replace='{described.labels.address}'",
                )
        host.api.change(ident, update(values, made))


def _connect(host: Host, doc: Doc, network: str) -> None:
    networks = doc["NetworkSettings"]["Networks"] or {}
    for name in networks:
        if name != network:
            host.api.disconnect_container_from_network(doc["Id"], name, force=True)
    if network not in networks:
        host.api.connect_container_to_network(doc["Id"], network)


def _gone(host: Host, change: Change) -> ProviderError:
    return ProviderError(
        f"{change.name} on {host.name} is gone again", "somebody removed it", hint="run the same command again"
    )


PART = Part(make_replica, take_down, observe_replicas, keep)
