"""Owns where a model that is no local file is fetched from: its pin in, requests out; mirrors in their sources' place.

Asks nobody but a hub or a store, and these only for the list of a folder. Sources: huggingface.co/docs/hub
(models-downloading: /OWNER/NAME/resolve/REVISION/FILE; api: /api/models/ID/revision/REV), infctl.provider.s3.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit

from infctl.provider.errors import ProviderError
from infctl.provider.s3 import Object, bucket_from, digest_of, listing_query, read_listing
from infctl.provider.values import Values
from infctl.secrets import Secret
from infctl_docker.carrier import Item, Parcel
from infctl_docker.model_fetch import Request

HUB = "https://huggingface.co"
TOKEN = "HF_TOKEN"  # noqa: S105  # a variable's name
ENDPOINT = "HF_ENDPOINT"
ONE_FILE = "llama.cpp"  # the engine whose model is one file; others take what lies in a folder
SIGNED = 12 * 3600  # seconds that a signed address holds: the last file of a large model is asked for late
SECONDS = 20.0  # for one answer
LONGEST = 32_000_000  # bytes of an answer; a listing of ten thousand files has three million
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
    if uri.startswith("s3://"):
        return _of_bucket(uri, values, mirrors)
    return _of_server(uri, values, mirrors)


def hub_of(mirrors: Mapping[str, str]) -> str:
    """Return the hub's address, "" for the real one: its mirror, else the one that the planner itself asks."""
    return (mirrors.get("hf") or os.environ.get(ENDPOINT, "")).rstrip("/")


def _of_hub(uri: str, values: Values, mirrors: Mapping[str, str]) -> Source:
    owner, _, rest = uri.removeprefix("hf://").partition("/")
    name, _, file = rest.partition("/")
    repository, _, asked = name.partition("@")
    revision = quote(str(values["sandbox"].get("model_revision", "")) or asked or "main", safe="")
    hub, token = hub_of(mirrors) or HUB, _token(values)
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def request(path: str) -> Request:
        return Request(f"{hub}/{owner}/{repository}/resolve/{revision}/{quote(path)}", headers, plain=not token)

    if file:
        return _single(values, file, request(file))
    told = _ask(uri, Request(f"{hub}/api/models/{owner}/{repository}/revision/{revision}?blobs=true", headers))
    try:
        files = {str(each["rfilename"]): int(each.get("size") or 0) for each in json.loads(told)["siblings"]}
    except (ValueError, KeyError, TypeError) as failure:
        raise _unreadable(uri, f"{hub} did not answer as a hub does") from failure
    return _many(values, repository, [(Item(path, size), request(path)) for path, size in files.items()])


def _of_bucket(uri: str, values: Values, mirrors: Mapping[str, str]) -> Source:
    name, _, path = uri.removeprefix("s3://").partition("/")
    bucket = bucket_from(name, os.environ)
    bucket = replace(bucket, endpoint=mirrors.get("s3", bucket.endpoint))
    pinned = str(values["sandbox"].get("model_revision", ""))

    def request(key: str) -> Request:
        return Request(bucket.address(key, seconds=SIGNED), plain=not bucket.key)

    if values["engine"] == ONE_FILE:
        return _single(values, path, request(path), "" if values["model_sha256"] else pinned)
    found: list[Object] = []
    more = ""
    while not found or more:
        body = _ask(uri, Request(bucket.address(query=listing_query(path, more))))
        try:
            page, more = read_listing(body)
        except ValueError as failure:
            raise _unreadable(uri, "the store did not answer as S3 does") from failure
        if not page:
            raise _unreadable(uri, "nothing is there")
        found += page
    if pinned and digest_of(found) != pinned:
        hint = "look at it, then run: infctl lock MODEL"
        raise ProviderError(f"{uri} has changed since it was pinned", "its list of files is another", hint=hint)
    folder = f"{path.rstrip('/')}/"
    files = [each for each in found if not each.key.endswith("/")]  # what consoles make to show a folder
    items = [
        (Item(each.key.removeprefix(folder), each.size, each.etag * bool(each.size)), request(each.key))
        for each in files
    ]
    return _many(values, path.rstrip("/").rpartition("/")[2], items)


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


def _many(values: Values, name: str, found: Sequence[tuple[Item, Request]]) -> Source:
    name = name or "model"
    for item, _ in found:
        if item.name.startswith("/") or ".." in item.name.split("/"):
            raise _unreadable(str(values["model"]), f"{item.name} would leave its folder")
    items = tuple(item._replace(name=f"{name}/{item.name}") for item, _ in found)
    return Source(Parcel(key_of(values), name, items, many=True), tuple(request for _, request in found))


def _ask(uri: str, request: Request) -> bytes:
    """Return what the planner is told. Raises ProviderError, without the address: it may be signed."""
    asked = urllib.request.Request(request.url, headers=dict(request.headers))  # noqa: S310  -- http(s): see FETCHED
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:  # noqa: S310
            body: bytes = answer.read(LONGEST)
    except HTTPError as failure:
        failure.close()
        raise _unreadable(uri, f"{asked.host} answered {failure.code} {failure.reason}") from failure
    except (OSError, HTTPException) as failure:
        raise _unreadable(uri, f"{asked.host} did not answer: {failure}") from failure
    return body


def _unreadable(uri: str, detail: str) -> ProviderError:
    hint = "see that the uri is right, and that whoever runs infctl may read it"
    return ProviderError(f"The files of {uri} cannot be listed", detail, hint=hint)


def key_of(values: Values) -> str:
    """Return the folder of a model whose checksum nobody knows: of where it comes from and how it is known again."""
    return hashlib.sha256(f"{values['model']}\n{values['sandbox'].get('model_revision', '')}".encode()).hexdigest()


def _token(values: Values) -> str:
    """Return the hub's token: the model's own, else that of whoever runs infctl."""
    own = values["env"].get(TOKEN)
    if isinstance(own, Secret):
        return own.reveal().strip()
    return str(own or os.environ.get(TOKEN, "")).strip()
