"""Owns how a model's files get onto a host: once, into a volume that replicas read, under their checksum.

First of its ways: a `file:` of this machine through Docker's archive API. A mark beside the files says that they are
whole: it is written last.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from infctl.provider.errors import ProviderError
from infctl.provider.values import Emit, Progress, Values
from infctl_docker.container import model_name
from infctl_docker.delivery import is_there, make_folders, put_file
from infctl_docker.hosts import Host
from infctl_docker.images import Image
from infctl_docker.lower import MODELS, MODELS_VOLUME

DONE = ".complete"


def deliver_model(host: Host, values: Values, image: Image, root: Path, emit: Emit) -> str:
    """Return what {model} stands for in a container on `host`, the model's files brought there first.

    `image` is one that the host has; `root` is where relative `file:` uris start. Raises ProviderError.
    """
    uri = str(values["model"])
    if not uri:
        return ""
    if values["sandbox"].get("download"):
        return model_name(values)
    if not uri.startswith("file:"):
        raise ProviderError(f"{uri} cannot be fetched yet", "only file: models can", hint="use a file: uri")
    source = root / uri.removeprefix("file:").removeprefix("//")
    if not source.is_file():
        raise ProviderError(f"The model file {source} is not there", hint="put it back, or change uri")
    checksum = str(values["model_sha256"]) or _checksum(source, emit)
    _copy(host, source, checksum, image, emit)
    return f"{MODELS}/{checksum}/{source.name}"


def _copy(host: Host, source: Path, checksum: str, image: Image, emit: Emit) -> None:
    api = host.api
    mounts = [{"Type": "volume", "Source": MODELS_VOLUME, "Target": MODELS}]
    body = {
        "Image": image.name, "Entrypoint": [], "Cmd": ["true"],
        "HostConfig": {"Mounts": mounts, "NetworkMode": "none"}, "Labels": {"infctl.copies": checksum},
    }  # fmt: skip
    carrier = api.create_container_from_config(body)["Id"]
    try:
        folder = f"{MODELS}/{checksum}"
        if is_there(host, carrier, f"{folder}/{DONE}"):
            return
        make_folders(host, carrier, MODELS, (checksum,))
        put_file(host, carrier, f"{folder}/{source.name}", source, emit)
        make_folders(host, carrier, folder, (DONE,))
    finally:
        api.remove_container(carrier, force=True)


def _checksum(source: Path, emit: Emit) -> str:
    emit(Progress("fetch", f"checksum of {source.name}"))
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
