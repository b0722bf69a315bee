"""Owns images on a host: found there, or pulled with progress from their registry or its mirror; tags resolved.

Knows nothing of what is made of them. A login goes in a header of the call and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Context
from infctl.provider.values import Emit, Progress
from infctl_docker.config import SECRET, RackTarget
from infctl_docker.errors import NO_SUCH_IMAGE, DaemonError, HostDown, hint_for
from infctl_docker.hosts import Host

HUB = "docker.io"  # the registry of names that begin with none
OFFICIAL = "library/"  # its folder for names of one word
HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
GONE = (
    "the registry no longer has the digest that inference.lock.yaml pins: push that image again, or take what its tag"
    " stands for now with `infctl plan -upgrade`"
)
PHASES = {"Downloading": "pull", "Extracting": "unpack"}  # the daemon's words for what takes long


class Image(NamedTuple):
    """An image as a host has it: what a container is made of, the program it brings, and as whom that runs."""

    name: str
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    user: str = ""


def have_image(host: Host, image: str, config: RackTarget, context: Context, emit: Emit) -> Image:
    """Return the image, pulled if the host lacks it. Raises ProviderError naming image and registry."""
    asked = mirrored(image, config.image_mirror)
    found = find_image(host, image, config)
    if found is None:
        _pull(host, asked, _login(asked, config, context), emit)
        found = find_image(host, image, config)
    if found is None:
        raise ProviderError(f"{image} is not on {host.name} after it was pulled", "it was removed at once")
    return found


def find_image(host: Host, image: str, config: RackTarget) -> Image | None:
    """Return the image if the host has it: by its name, at its mirror, or by the id that its digest may be."""
    names = dict.fromkeys((mirrored(image, config.image_mirror), image))
    digest = image.partition("@")[2]
    choices = (*names, *((digest,) if digest else ()))  # one that was loaded, not pulled, has no digest but its id
    for name, answer in zip(choices, host.read([_path(name) for name in choices]), strict=True):
        if answer.status == HTTPStatus.OK:
            config_of = answer.json().get("Config") or {}
            entrypoint, arguments = (tuple(config_of.get(key) or ()) for key in ("Entrypoint", "Cmd"))
            return Image(name, entrypoint, arguments, config_of.get("User") or "")
    return None


def resolve(hosts: tuple[Host, ...], image: str, config: RackTarget, context: Context) -> str:
    """Return NAME@sha256:… for what `image` stands for now: as its registry says, else as a host has it.

    Raises ProviderError where neither knows it.
    """
    if "@" in image:
        return image
    name, _ = _split_tag(image)
    asked = mirrored(image, config.image_mirror)
    login = _login(asked, config, context)
    refused: ProviderError | None = None
    for host in hosts:
        try:
            return f"{name}@{host.api.inspect_distribution(asked, login)['Descriptor']['digest']}"
        except DaemonError as failure:
            refused = failure
            break  # what one daemon hears from a registry, the others hear too
        except HostDown as failure:
            refused = failure
    for host in hosts:
        try:
            (answer,) = host.read((_path(asked),))
        except HostDown:
            continue
        if answer.status == HTTPStatus.OK:
            return f"{name}@{_digest(answer.json(), asked)}"
    said = refused.diagnostics[0] if refused else None
    detail, hint = (said.detail, said.hint) if said else ("there is no host to ask", "")
    raise ProviderError(f"The image {image} cannot be found", detail, hint=hint) from refused


def mirrored(image: str, mirrors: Mapping[str, str]) -> str:
    """Return the name under which an image is pulled: its registry's mirror in the registry's place."""
    registry, rest = split_registry(image)
    mirror = mirrors.get(registry) or (mirrors.get(HUB) if registry in HUB_NAMES else None)
    return f"{mirror.rstrip('/')}/{rest}" if mirror else image


def split_registry(image: str) -> tuple[str, str]:
    """Return the registry of an image's name, and the rest (as the registry knows it)."""
    first, _, rest = image.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return HUB, image if rest else f"{OFFICIAL}{image}"


def _pull(host: Host, image: str, login: Mapping[str, str] | None, emit: Emit) -> None:
    emit(Progress("pull", image))
    done: dict[str, dict[str, tuple[int, int]]] = {phase: {} for phase in PHASES.values()}
    try:
        for word in _words(host, image, login):
            if "error" in word:
                raise _refused(host, image, str(word["error"]))
            phase, part = PHASES.get(word.get("status", "")), word.get("progressDetail") or {}
            if phase and part.get("total"):
                done[phase][word["id"]] = int(part["current"]), int(part["total"])
                have, total = (sum(one[index] for one in done[phase].values()) for index in (0, 1))
                emit(Progress(phase, image, have, total, "bytes"))
    except DaemonError as failure:
        raise _refused(host, image, failure.message) from failure


def _words(host: Host, image: str, login: Mapping[str, str] | None) -> Iterator[Mapping[str, Any]]:
    name, tag = _split_tag(image)
    found: Iterator[Mapping[str, Any]] = host.api.pull(
        name, tag or "latest", stream=True, decode=True, auth_config=dict(login) if login else None
    )
    return found


def _refused(host: Host, image: str, said: str) -> ProviderError:
    hint = hint_for(said)
    if "@" in image and hint == NO_SUCH_IMAGE:
        hint = GONE
    return ProviderError(f"{host.name} cannot pull {image}", said, hint=hint, retryable="timeout" in said.lower())


def _login(image: str, config: RackTarget, context: Context) -> dict[str, str] | None:
    """Return the login for an image's registry, None where there is none. Raises ProviderError for one that is none."""
    registry, _ = split_registry(image)
    names = HUB_NAMES if registry in HUB_NAMES else {registry}
    found = next((name for name in config.registry_auth if name in names), None)
    if found is None:
        return None
    secret = config.registry_auth[found].removeprefix(SECRET)
    user, colon, password = context.secret(secret).reveal().strip().partition(":")
    if not colon:
        raise ProviderError(
            f"The login of {found} is none", f"the secret {secret} has no colon", hint="a login is USER:PASSWORD"
        )
    return {"username": user, "password": password}


def _split_tag(image: str) -> tuple[str, str]:
    """Return an image's name, and its digest or tag."""
    name, at, digest = image.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}{slash}{last}", digest if at else tag


def _digest(inspected: Mapping[str, Any], image: str) -> str:
    """Return the digest by which the image was pulled under this name; of one that never was, its id."""
    name, _ = _split_tag(image)
    pulled = [one.partition("@")[2] for one in inspected.get("RepoDigests") or () if one.partition("@")[0] == name]
    return str(pulled[0] if pulled else inspected["Id"])


def _path(image: str) -> str:
    return f"/images/{quote(image, safe='/:@')}/json"
