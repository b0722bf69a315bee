"""Owns what an image's tag stands for now, as its registry says: the digest that a plan pins.

Source: the OCI distribution specification (HEAD of a manifest), and Docker's token authentication. Asks without a
login, from the machine that plans: an image that only the target may see is named by its digest.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3

from infctl.provider.errors import ProviderError, reason_of

HUB, HUB_SERVER, OFFICIAL = "docker.io", "registry-1.docker.io", "library/"
HUB_NAMES = frozenset({HUB, "index.docker.io", HUB_SERVER})
ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
TIMEOUT = 20.0  # seconds for one answer
_WORD = re.compile(r'(\w+)="([^"]*)"')
_OK, _UNAUTHORIZED = 200, 401


def resolve_image(image: str) -> str:
    """Return NAME@sha256:… of an image. Raises ProviderError where its registry does not tell."""
    if "@" in image:
        return image
    registry, rest = split_registry(image)
    repository, colon, tag = rest.rpartition(":")
    if not colon:
        repository, tag = rest, "latest"
    name = image.removesuffix(f":{tag}") if colon else image
    hint = "mend the way to the registry, or name the image with its digest: NAME@sha256:…"
    try:
        with urllib3.PoolManager(timeout=urllib3.Timeout(TIMEOUT), retries=2) as pool:
            status, digest = _ask(pool, registry, repository, tag)
    except urllib3.exceptions.HTTPError as failure:
        raise ProviderError(f"The registry of {image} does not answer", reason_of(failure), hint=hint) from failure
    if status != _OK or not digest:
        hint = "check the name and the tag; an image that wants a login is named with its digest: NAME@sha256:…"
        raise ProviderError(f"The image {image} cannot be found", f"{registry} says {status}", hint=hint)
    return f"{name}@{digest}"


def split_registry(image: str) -> tuple[str, str]:
    """Return the server of an image's name, and the rest as the server knows it."""
    first, _, rest = image.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        if first not in HUB_NAMES:
            return first, rest
        image = rest
    return HUB_SERVER, image if "/" in image else f"{OFFICIAL}{image}"


def _ask(pool: urllib3.PoolManager, registry: str, repository: str, tag: str) -> tuple[int, str]:
    host = urlsplit(f"//{registry}").hostname or ""
    scheme = "http" if host == "localhost" or host.startswith("127.") else "https"  # as container runtimes take it
    url, headers = f"{scheme}://{registry}/v2/{repository}/manifests/{tag}", {"Accept": ACCEPT}
    answer = pool.request("HEAD", url, headers=headers)
    if answer.status == _UNAUTHORIZED:
        token = _token(pool, answer.headers.get("WWW-Authenticate", ""))
        if token:
            answer = pool.request("HEAD", url, headers={**headers, "Authorization": f"Bearer {token}"})
    return answer.status, answer.headers.get("Docker-Content-Digest", "")


def _token(pool: urllib3.PoolManager, challenge: str) -> str:
    """Return the token that a registry gives to anybody, "" where it gives none."""
    said = dict(_WORD.findall(challenge))
    realm = said.pop("realm", "")
    if not challenge.startswith("Bearer") or not realm.startswith("https://"):
        return ""
    answer = pool.request("GET", f"{realm}?{urlencode({k: v for k, v in said.items() if k in {'service', 'scope'}})}")
    try:
        found: dict[str, Any] = json.loads(answer.data)
    except ValueError:
        return ""
    return str(found.get("token") or found.get("access_token") or "")
