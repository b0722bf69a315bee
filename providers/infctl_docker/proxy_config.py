"""Owns the text of a host's HAProxy configuration: a pure function of the host's routes.

Knows nothing of containers, of how the text gets there, or of how a running proxy takes it up.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from infctl.provider.values import Values
from infctl.templating import render
from infctl_docker.container import LOOPBACK
from infctl_docker.door_key import DOMAIN

CONNECTIONS = 8000  # at once; each takes two file descriptors, of which the container gets FILES
FILES = 20_000
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # every network, and how to reach that from here


@dataclass(frozen=True, slots=True)
class Server:
    """One line of a backend: a replica of this host, or the door of another host with `weight` replicas."""

    name: str
    address: str
    here: bool
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A model's address on one host. `hold` is in seconds; `doors` says whether other hosts answer too."""

    name: str
    model: str
    bind: str
    again: str
    servers: tuple[Server, ...]
    health: str
    hold: int

    @property
    def doors(self) -> bool:
        return any(not server.here for server in self.servers)


def render_config(routes: Iterable[Route], *, folder: str, door: str) -> str:
    """Return the configuration; `folder` is where its files are, `door` the address of the door, "" for none."""
    given = {"routes": sorted(routes, key=lambda route: route.name), "folder": folder, "door": door, "domain": DOMAIN}
    body = render("haproxy/haproxy.cfg.j2", digest="", connections=CONNECTIONS, **given)
    return render("haproxy/haproxy.cfg.j2", digest=digest(body), connections=CONNECTIONS, **given)


def digest(text: str | bytes) -> str:
    """Return 16 hex characters of SHA-256."""
    data = text if isinstance(text, bytes) else text.encode()
    return hashlib.sha256(data).hexdigest()[:16]


def said_digest(config: str) -> str:
    """Return the digest that a rendered configuration says of itself: what its worker shows once it is loaded."""
    found = re.search(r"^    description (\S+)$", config, re.MULTILINE)
    return found[1] if found else ""


def to_route(ident: str, values: Values, port: int) -> Route:
    """Return the route of these values (of a docker_route) at this port; `ident` is its object's id."""
    bind = numeric(values["bind"])
    name = f"{values['model'][:27]}-{ident}"
    servers = tuple(_servers(values["host"], values["backends"], values["doors"]))
    return Route(
        name,
        values["model"],
        join(bind, port),
        join(WILDCARDS.get(bind, bind), port),
        servers,
        values["health"],
        values["hold"],
    )


def _servers(host: str, endpoints: Iterable[str], doors: Mapping[str, str]) -> Iterator[Server]:
    """Yield the replicas of this host, then one server for each other host that has some."""
    elsewhere: dict[str, int] = {}
    for endpoint in endpoints:
        place, _, port = endpoint.rpartition(":")
        if place == host:
            yield Server(server_name(endpoint), f"{LOOPBACK}:{port}", here=True)
        else:
            elsewhere[place] = elsewhere.get(place, 0) + 1
    for place, count in elsewhere.items():
        if doors.get(place):
            yield Server("host-" + re.sub(r"[^A-Za-z0-9_.-]", "_", place), doors[place], here=False, weight=count)


def server_name(endpoint: str) -> str:
    """Return what proxies of a replica's own host call it; `endpoint` is its HOST:PORT."""
    return "replica-" + endpoint.rpartition(":")[2]


def numeric(bind: str) -> str:
    return LOOPBACK if bind == "localhost" else bind


def door_bind(door: str) -> str:
    """Return where the proxy itself listens for a door: there, or everywhere where the address is a name.

    A host's own name often stands for a loopback address on the host itself (Debian's 127.0.1.1).
    """
    host, _, port = door.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return f":{port}" if door else ""
    return door


def join(host: str, port: int) -> str:
    """Return HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
