"""Owns what the relay is told: a route of a model to its backends, as a value and as a file.

Read by the relay and by its client, so it knows nothing of HTTP servers.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infctl_local.record import write_private

ROUTES = "routes"  # the folder of route files in the relay's directory
SOCKET, SOCKET_PLACE = "control.sock", "control.path"
SOCKET_PATH_LIMIT = 100  # bytes; sun_path has 104 on macOS and 108 on Linux (unix(4), unix(7))
LAST_PORT = 65_535
MODEL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")  # a model's name is also the name of its route's file


@dataclass(frozen=True, slots=True)
class Backend:
    """One replica. `weight`: its share of new requests relative to the others; 0 for none."""

    id: str
    url: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A model's stable address and who answers there. Requests wait up to `hold_s` seconds for a backend.

    `engine_model` is what backends call the model, where that is none of `served_names`.
    """

    model: str
    bind: str
    port: int
    served_names: tuple[str, ...]
    backends: tuple[Backend, ...] = ()
    engine_model: str = ""
    hold_s: float = 5.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def parse_route(text: str | bytes) -> Route:
    """Return the route that this JSON says. Raises ValueError naming what is wrong."""
    values: Any = json.loads(text)
    try:
        backends = tuple(Backend(**each) for each in values.get("backends", ()))
        route = Route(**{**values, "backends": backends, "served_names": tuple(values["served_names"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a route: {error}") from error
    if wrong := _wrong(route):
        raise ValueError(wrong)
    return route


def _wrong(route: Route) -> str:
    """Return what is wrong with a route whose fields are all there; empty when nothing is."""
    if not isinstance(route.model, str) or not MODEL.fullmatch(route.model):
        return f"{route.model!r} is not the name of a model"
    if type(route.port) is not int or not 0 < route.port <= LAST_PORT:
        return f"port {route.port!r} is not between 1 and 65535"
    if not route.bind or not isinstance(route.bind, str):
        return "bind must be an address"
    if not route.served_names or not all(isinstance(name, str) for name in route.served_names):
        return "served_names must have at least one name"
    if len({backend.id for backend in route.backends}) < len(route.backends):
        return "two backends have the same id"
    for backend in route.backends:
        if urlsplit(backend.url).scheme != "http" or not urlsplit(backend.url).hostname:
            return f"backend {backend.id}: {backend.url!r} is not an http:// address"
        if type(backend.weight) is not int or backend.weight < 0:
            return f"backend {backend.id}: weight {backend.weight!r} is not a whole number from 0 on"
    return ""


def write_route(directory: Path, route: Route) -> None:
    """Write the route's file, atomically. Raises OSError."""
    (directory / ROUTES).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(directory / ROUTES / f"{route.model}.json", route.to_json())


def remove_route(directory: Path, model: str) -> None:
    (directory / ROUTES / f"{model}.json").unlink(missing_ok=True)


def read_routes(directory: Path) -> Mapping[str, Route | str]:
    """Return the route of each file, by model, or what is wrong with the file."""
    found: dict[str, Route | str] = {}
    for path in sorted((directory / ROUTES).glob("*.json")):
        try:
            found[path.stem] = parse_route(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            found[path.stem] = f"{path}: {error}"
    return found


def socket_path(directory: Path) -> Path:
    """Return where the relay of this directory listens for commands; beside it, unless that is too long."""
    place = directory / SOCKET_PLACE
    return Path(place.read_text("utf-8")) if place.exists() else directory / SOCKET


def choose_socket_path(directory: Path) -> Path:
    """Like `socket_path`, for the relay itself: makes a short place when the path is too long for a socket."""
    path = directory / SOCKET
    known = socket_path(directory)
    if known != path and known.parent.is_dir() and known.parent.stat().st_uid == os.getuid():
        return known
    if len(bytes(path)) <= SOCKET_PATH_LIMIT:
        return path
    short = Path(tempfile.mkdtemp(prefix="infctl-", dir="/tmp")) / SOCKET
    write_private(directory / SOCKET_PLACE, str(short))
    return short


def leave_socket_path(directory: Path) -> None:
    """Remove the socket, with the short place where there is one."""
    path = socket_path(directory)
    path.unlink(missing_ok=True)
    if path.parent != directory:
        path.parent.rmdir()
        (directory / SOCKET_PLACE).unlink()
