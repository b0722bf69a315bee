"""Owns what a host's proxy shows of itself: its container by labels, and its routes by the book in its files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from infctl.address import parse_address
from infctl.provider.values import Change, Observed, Values
from infctl_docker.hosts import Host
from infctl_docker.labels import ADDRESS, Described, read_labels
from infctl_docker.parts import Doc, Found, Rack
from infctl_docker.promises import LINEAGE
from infctl_docker.proxy_book import BOOK, CONFIG, Book, Kept, parse_book
from infctl_docker.proxy_box import USER, archive_path, parse_archive
from infctl_docker.proxy_config import digest
from infctl_docker.proxy_kinds import EDITED, PROXY
from infctl_docker.proxy_lower import proxy_address


class Running(NamedTuple):
    """A proxy's container. `admin` is the port of its master socket, `user` as whom it runs."""

    container: str
    described: Described
    running: bool

    @property
    def admin(self) -> int:
        return int(self.described.made["admin"])

    @property
    def user(self) -> int:
        return int(self.described.made.get("user", USER))


def find_proxy(host: Host, change: Change) -> Running | None:
    """Return the proxy on this host of the target that the change is about."""
    return find(host, {LINEAGE: change.labels.lineage, ADDRESS: str(proxy_address(change.target, host.name))})


def observe(rack: Rack, found: Found) -> Iterator[Observed]:
    """Yield the proxy of a host and the routes through it: all that its own files say, in one reading."""
    target = rack.context.target
    for doc in found.containers:
        described = read_labels(doc["Config"].get("Labels"))
        if not described or parse_address(described.labels.address).kind != PROXY:
            continue
        if not found.is_ours(described, target):
            continue
        running = Running(doc["Id"], described, bool(doc["State"]["Running"]))
        archive = found.archives.get(running.container) or _archive(found.host, running.container)
        files = parse_archive(archive) if archive else {}
        yield from _seen(running, files, doc, found.host.name)


def _archive(host: Host, container: str) -> bytes:
    (answer,) = host.read((archive_path(container),))
    return answer.body if answer.status == HTTPStatus.OK else b""


def _seen(found: Running, files: Mapping[str, bytes], doc: Doc, place: str) -> Iterator[Observed]:
    try:
        book = parse_book(files[BOOK])
    except (KeyError, ValueError):
        book = Book()  # its routes are gone then, and every one is made again
    values = {**found.described.values, **book.proxy, **_shown(doc, found.described)}
    if book.config != digest(files.get(CONFIG, b"")):
        values["config"] = EDITED
    yield proxy_of(found, book, values, place)
    for kept in book.routes.values():
        yield route_of(kept, place, running=found.running)


def _shown(doc: Doc, described: Described) -> dict[str, Any]:
    """Return what the daemon shows of the fields that it holds itself."""
    image = doc["Config"]["Image"]
    return {
        "image": described.values["image"] if image == described.made["image"] else image,
        "restart": (doc["HostConfig"].get("RestartPolicy") or {}).get("Name", ""),
    }


def proxy_of(found: Running, book: Book, values: Values, place: str) -> Observed:
    described = found.described
    address = parse_address(described.labels.address)
    outputs = {"container": found.container, "host": place, "door": book.door, "admin": found.admin}
    return Observed(
        address, described.labels.id, described.name, described.target, values, outputs, described.labels,
        found.running, place,
    )  # fmt: skip


def route_of(kept: Kept, place: str, *, running: bool) -> Observed:
    labels = kept.labels
    address = parse_address(labels.address)
    return Observed(address, labels.id, kept.name, kept.target, kept.values, kept.outputs, labels, running, place)


def find(host: Host, labels: Mapping[str, str]) -> Running | None:
    asked = json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]})
    for one in host.ask(f"/containers/json?all=1&filters={quote(asked)}"):
        described = read_labels(one["Labels"])
        if described and parse_address(described.labels.address).kind == PROXY:
            return Running(one["Id"], described, one["State"] == "running")
    return None
