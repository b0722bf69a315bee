"""Owns what a target's addresses are in Docker's resources: a proxy per host, a route per model and host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from infctl.address import Address
from infctl.provider.values import Deployment, Desired, Ref, TargetWant
from infctl_docker.lower import container_address, health_path, spots_of
from infctl_docker.proxy_kinds import PROXY, RENDERED, ROUTE

# A reload is a signal, and Docker takes a container that got one for stopped by hand: unless-stopped stays down then.
RESTART = "always"
HOLD_S = 30  # a request waits so long for a replica while none is there; half of the 60 s that proxies allow


def lower_proxy(want: TargetWant, hosts: Mapping[str, str], image: str) -> tuple[Desired, ...]:
    """Return the proxies of the target and the routes of its models; `hosts` is the address of each host by name."""
    if not want.deployments:
        return ()
    proxies = (
        Desired(
            proxy_address(want.target, host),
            want.target,
            {
                "host": host,
                "image": image,
                "address": address,
                "door": len(hosts) > 1,
                "restart": RESTART,
                "config": RENDERED,
            },
        )
        for host, address in hosts.items()
    )
    return (*proxies, *(route for wish in want.deployments for route in _routes(wish, want.target, tuple(hosts))))


def proxy_address(target: str, host: str) -> Address:
    return Address(PROXY, target, host)


def _routes(wish: Deployment, target: str, hosts: tuple[str, ...]) -> Iterator[Desired]:
    backends = tuple(Ref(container_address(wish.model, target, slot), "endpoint") for slot in wish.slots)
    places = {spot.place for spot in spots_of(wish, hosts)}
    for host in hosts:
        values = {
            "host": host,
            "model": wish.model,
            "bind": wish.bind,
            "port": wish.port,
            "served_names": wish.served_names,
            "backends": backends,
            "proxy": Ref(proxy_address(target, host), "container"),
            "doors": {other: Ref(proxy_address(target, other), "door") for other in hosts if other in places - {host}},
            "health": health_path(wish.template),
            "hold": HOLD_S,
        }
        yield Desired(Address(ROUTE, wish.model, f"{target}/{host}"), target, values, wish.model, wish.revision)
