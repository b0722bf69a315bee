"""Owns reading a host's objects in one go: containers and networks of infctl, and what state knows by other names.

One round trip where state knows what runs there: the inspects go out with the list. Knows no kind in particular.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from infctl.provider.values import Scope
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host
from infctl_docker.labels import STACK, WORKSPACE
from infctl_docker.parts import Doc, Found
from infctl_docker.pipeline import Answer
from infctl_docker.promises import ID, LINEAGE
from infctl_docker.proxy_box import archive_path
from infctl_docker.proxy_kinds import PROXY

LIST = "/containers/json?all=1&filters=" + quote(json.dumps({"label": [ID]}))
NETWORKS = "/networks?filters=" + quote(json.dumps({"label": [ID]}))


def read_host(host: Host, scope: Scope) -> Found:
    """Return what stands on a host. Raises HostDown, or DaemonError when its Docker says no."""
    guessed = tuple(dict.fromkeys(_guess(host, scope)))
    proxies = tuple(_proxies(host, scope))
    listed, networks, *answers = host.read((LIST, NETWORKS, *map(inspect_path, guessed), *map(archive_path, proxies)))
    docs = [doc for answer in answers[: len(guessed)] if (doc := inspected(host, answer))]
    archives = {
        proxy: answer.body
        for proxy, answer in zip(proxies, answers[len(guessed) :], strict=True)
        if answer.status == HTTPStatus.OK
    }
    there, known = {doc["Id"] for doc in docs}, {one.id for one in scope.known}
    new = [one["Id"] for one in value_of(host, listed) if one["Id"] not in there and _concerns(one, scope, known)]
    if new:
        docs += [doc for answer in host.read([*map(inspect_path, new)]) if (doc := inspected(host, answer))]
    whole = tuple({doc["Id"]: doc for doc in docs}.values())
    return Found(host, whole, tuple(value_of(host, networks)), scope, archives)


def inspect_path(container: str) -> str:
    return f"/containers/{quote(container, safe='')}/json"


def _guess(host: Host, scope: Scope) -> Iterator[str]:
    """Yield the ids of containers that state knows to be here, and names that are looked for everywhere."""
    for known in scope.known:
        if not known.outputs:
            yield known.id
        elif known.outputs.get("container") and known.outputs.get("host", host.name) == host.name:
            yield str(known.outputs["container"])


def _proxies(host: Host, scope: Scope) -> Iterator[str]:
    """Yield the proxies that state knows to be here: their files say which routes there are."""
    for known in scope.known:
        if known.address.kind == PROXY and known.outputs.get("host") == host.name:
            yield str(known.outputs["container"])


def _concerns(listed: Mapping[str, Any], scope: Scope, known: Collection[str]) -> bool:
    """Return whether a container of infctl's is among those looked for, as far as the list says."""
    labels = listed.get("Labels") or {}
    if labels.get(ID) in known:
        return True
    if scope.lineage:
        return bool(labels.get(LINEAGE) == scope.lineage)
    return (labels.get(STACK), labels.get(WORKSPACE)) == (scope.stack, scope.workspace)


def inspected(host: Host, answer: Answer) -> Doc | None:
    """Return an inspect, None for a container that is gone. Raises DaemonError when the daemon said no."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    found: Doc = value_of(host, answer)
    return found


def value_of(host: Host, answer: Answer) -> Any:
    """Return what a GET gave. Raises DaemonError when the daemon said no."""
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise DaemonError(host.name, answer.status, answer.body.decode(errors="replace").strip())
    return answer.json()
