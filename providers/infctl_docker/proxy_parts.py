"""Owns how a target's proxies and routes are handled: made, taken down; and the draining of a replica.

A route is a part of its host's proxy, which is found by its labels. What a proxy is told is `proxy`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from weakref import WeakKeyDictionary

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Progress
from infctl_docker import containers
from infctl_docker.door_key import door_pem
from infctl_docker.hosts import Host
from infctl_docker.images import have_image
from infctl_docker.labels import write_labels
from infctl_docker.parts import Found, Part, Rack, wanted
from infctl_docker.promises import ID
from infctl_docker.proxy import HostProxy, Line
from infctl_docker.proxy_book import BOOK, CONFIG, parse_book
from infctl_docker.proxy_box import FOLDER, ContainerBox, archive_path, body, parse_archive, user_of
from infctl_docker.proxy_kinds import PROXY, PROXY_KINDS, ROUTE
from infctl_docker.proxy_load import LOAD_S, POLL_S, first_files
from infctl_docker.proxy_ports import candidates
from infctl_docker.proxy_sight import Running, find, find_proxy, observe, proxy_of, route_of

PORTS_TRIED = 10  # for the master socket: each taken one costs the start of a container
STOP_S = 5
_lines: WeakKeyDictionary[Host, Line] = WeakKeyDictionary()  # who changes a host's proxy waits in its line
_choosing = threading.Lock()


def make_proxy(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed:
    """Make the host's proxy run what its book says."""
    after = wanted(change, PROXY_KINDS[PROXY].fields)
    found = find(host, {ID: change.id})
    if found is None or not found.running:
        found = _start(rack, host, change, emit, found)
    host.api.update_container(found.container, restart_policy={"Name": after["restart"], "MaximumRetryCount": 0})
    book = _proxy(rack, host, found).settle(after, f"{change.labels.lineage}/{change.target}")
    return proxy_of(found._replace(running=True), book, after, host.name)


def take_proxy(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Stop or remove the host's proxy."""
    del rack, emit
    found = find(host, {ID: change.id})
    if found is None:
        return None
    if change.do is Do.DELETE:
        host.api.remove_container(found.container, v=True, force=True)
        return None
    host.api.stop(found.container, timeout=STOP_S)
    (answer,) = host.read((archive_path(found.container),))
    book = parse_book(parse_archive(answer.body)[BOOK])
    return proxy_of(found._replace(running=False), book, book.proxy, host.name)


def make_route(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed:
    """Make a model's address on this host lead to its replicas."""
    del emit
    after = wanted(change, PROXY_KINDS[ROUTE].fields)
    found = find_proxy(host, change)
    if found is None or not found.running:
        raise ProviderError(
            f"The proxy of {host.name} does not run",
            "a route is a part of it",
            hint="the next `infctl apply` starts it again",
            address=str(change.address),
            retryable=True,
        )
    return route_of(_proxy(rack, host, found).put_route(change, after, host.address), host.name, running=True)


def take_route(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Close a model's address on this host; a proxy that does not run forgets it when it is next changed."""
    del emit
    found = find_proxy(host, change)
    if found and found.running:
        _proxy(rack, host, found).drop_route(change.id)
    return None


def drain_replica(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Wait until the proxy of the replica's host has no request there, as long as the change has time.

    Requests of other hosts come through that proxy too, so nobody else need be asked.
    """
    found = find_proxy(host, change)
    endpoint = change.before.outputs.get("endpoint") if change.before else None
    if endpoint and found and found.running:
        _proxy(rack, host, found).drain(str(endpoint), change.timeout, emit)
    return containers.keep(rack, host, change, emit)


def _start(rack: Rack, host: Host, change: Change, emit: Emit, found: Running | None) -> Running:
    """Make the container unless it is there, and start it, at the first port for its master socket that is free."""
    emit(Progress("start"))
    seed = f"{change.labels.lineage}/{change.target}/admin"
    for admin in islice(candidates(seed, rack.config.ports), PORTS_TRIED):
        found = found or _create(rack, host, change, admin, emit)
        box = ContainerBox(host, found.container, found.admin, found.user)
        if CONFIG not in box.read():  # it is new, or a run was killed before it wrote them
            box.write(first_files(FOLDER, door_pem(rack.context.key(), change.target)))
        host.api.start(found.container)
        if _comes_up(rack, host, found):
            return found
        said, routes = box.said(), parse_book(box.read()[BOOK]).routes
        if routes or "cannot bind" not in said.lower():
            raise ProviderError(f"The proxy of {host.name} does not start", said, hint="check proxy.image")
        host.api.remove_container(found.container, v=True, force=True)
        found = None
    raise ProviderError(f"The proxy of {host.name} finds no free port", hint="give the target other `ports`")


def _create(rack: Rack, host: Host, change: Change, admin: int, emit: Emit) -> Running:
    image = have_image(host, wanted(change, PROXY_KINDS[PROXY].fields)["image"], rack.config, rack.context, emit).name
    user = user_of(change.labels.lineage, change.target)
    labels = write_labels(change, {"admin": admin, "image": image, "user": user})
    made = body(image, admin, user, "no", labels)  # one that cannot bind must not come back for ever
    host.api.create_container_from_config(made, change.name)
    found = find(host, {ID: change.id})
    assert found is not None, change  # noqa: S101  # the daemon just said that it made it
    return found


def _comes_up(rack: Rack, host: Host, found: Running) -> bool:
    """Wait until the proxy runs what it was given; False once its process has ended."""
    proxy, deadline = _proxy(rack, host, found), time.monotonic() + LOAD_S
    while time.monotonic() < deadline:
        if proxy.is_loaded():
            return True
        if not host.ask(f"/containers/{found.container}/json")["State"]["Running"]:
            return False
        time.sleep(POLL_S)
    return False


def _proxy(rack: Rack, host: Host, found: Running) -> HostProxy:
    with _choosing:
        line = _lines.setdefault(host, Line())
    return HostProxy(ContainerBox(host, found.container, found.admin, found.user), rack.config.ports, line)


def _seen_with_proxy(rack: Rack, found: Found) -> Iterable[Observed]:
    """Return nothing: to see a proxy is to see its routes, in one reading for both."""
    del rack, found
    return ()


def _serves_nobody(rack: Rack, host: Host, change: Change, emit: Emit) -> Observed | None:
    """Return nothing new: only replicas are drained."""
    del rack, host, change, emit
    return None


PROXY_PARTS: Mapping[str, Part] = MappingProxyType(
    {
        PROXY: Part(make_proxy, take_proxy, observe, _serves_nobody),
        ROUTE: Part(make_route, take_route, _seen_with_proxy, _serves_nobody),
    }
)
