"""Owns where a model that is no local file is fetched from: its pin in, requests out; mirrors in their sources' place.

Asks nobody but an S3 store for the list of a folder. Sources: huggingface.co/docs/hub/models-downloading
(/OWNER/NAME/resolve/REVISION/FILE), infctl.provider.s3.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from infctl.provider.errors import ProviderError
from infctl.provider.values import Values
from infctl.secrets import Secret
from infctl_docker.carrier import Item, Parcel
from infctl_docker.model_fetch import Request

HUB = "https://huggingface.co"
TOKEN = "HF_TOKEN"  # noqa: S105  # a variable's name
ENDPOINT = "HF_ENDPOINT"
FETCHED = ("hf://", "http://", "https://", "s3://")


class Source(NamedTuple):
    """A parcel, and what its items are asked with, in order."""

    parcel: Parcel
    requests: tuple[Request, ...]


def find_source(values: Values, mirrors: Mapping[str, str]) -> Source:
    """Return where the model of a replica comes from. Raises ProviderError."""
    uri = str(values["model"])
    if uri.startswith("hf://"):
        return _of_hub(uri, values, mirrors)
    return _of_server(uri, values, mirrors)


def hub_of(mirrors: Mapping[str, str]) -> str:
    """Return the hub's address, "" for the real one: its mirror, else the one that the planner itself asks."""
    return (mirrors.get("hf") or os.environ.get(ENDPOINT, "")).rstrip("/")


def _of_hub(uri: str, values: Values, mirrors: Mapping[str, str]) -> Source:
    owner, _, rest = uri.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    repository, _, asked = name.partition("@")
    if not file:
        raise ProviderError(f"{uri} names no file", hint="run: infctl lock, which chooses one, or name it in the uri")
    revision = str(values["sandbox"].get("model_revision", "")) or asked or "main"
    address = f"{hub_of(mirrors) or HUB}/{owner}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"
    token = _token(values)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return _single(values, file, Request(address, headers, plain=not token))


def _of_server(uri: str, values: Values, mirrors: Mapping[str, str]) -> Source:
    address = uri.partition("#")[0]
    found = max((source for source in mirrors if address.startswith(f"{source.rstrip('/')}/")), key=len, default="")
    if found:
        address = mirrors[found].rstrip("/") + address.removeprefix(found.rstrip("/"))
    parts = urlsplit(address)
    request = Request(address, plain=not parts.query and "@" not in parts.netloc)
    # A mirror has marks of its own; a checksum says more than any mark.
    revision = "" if found or values["model_sha256"] else str(values["sandbox"].get("model_revision", ""))
    return _single(values, unquote(parts.path), request, revision)


def _single(values: Values, path: str, request: Request, revision: str = "") -> Source:
    name = path.rpartition("/")[2] or "model"
    item = Item(name, int(values["sandbox"].get("model_bytes", 0)), revision)
    pinned = str(values["model_sha256"])
    return Source(Parcel(pinned or key_of(values), name, (item,), pinned), (request,))


def key_of(values: Values) -> str:
    """Return the folder of a model whose checksum nobody knows: of where it comes from and how it is known again."""
    return hashlib.sha256(f"{values['model']}\n{values['sandbox'].get('model_revision', '')}".encode()).hexdigest()


def _token(values: Values) -> str:
    """Return the hub's token: the model's own, else that of whoever runs infctl."""
    own = values["env"].get(TOKEN)
    if isinstance(own, Secret):
        return own.reveal().strip()
    return str(own or os.environ.get(TOKEN, "")).strip()
