"""Owns how a file gets into a container that does not run: as a tar archive, through Docker's API.

Works on every host that Docker answers on, and leaves no trace on a command line. Knows nothing of what files mean.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.secrets import Secret
from infctl_docker.container import SECRETS
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host

ROOT = frozenset({"", "root", "0"})


def put_secrets(host: Host, doc: Mapping[str, Any], secrets: Mapping[str, Secret]) -> None:
    """Write secrets as files of mode 0600 that the user of the container (its inspect is `doc`) may read."""
    if not secrets:
        return
    owner = _uid(host, doc["Id"], doc["Config"].get("User") or "")
    # A read-only root takes no file: there the folder is a volume's, which stands already.
    inside, prefix = (SECRETS, ".") if doc["HostConfig"].get("ReadonlyRootfs") else ("/", SECRETS.lstrip("/"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo(prefix)
        folder.type, folder.mode, folder.uid = tarfile.DIRTYPE, 0o700, owner
        tar.addfile(folder)
        for name, secret in secrets.items():
            data = secret.reveal().encode()
            file = tarfile.TarInfo(f"{prefix}/{name}")
            file.mode, file.uid, file.size, file.mtime = 0o600, owner, len(data), int(time.time())
            tar.addfile(file, io.BytesIO(data))
    host.api.put_archive(doc["Id"], inside, buffer.getvalue())


def is_there(host: Host, container: str, path: str) -> bool:
    """Return whether a container has this path."""
    try:
        chunks, _ = host.api.get_archive(container, path)
    except DaemonError as failure:
        if failure.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    for _ in chunks:  # read whole, so that the stream can be used again: ask for small files only
        pass
    return True


def _uid(host: Host, container: str, user: str) -> int:
    """Return the number of the user that a container runs as. Raises ProviderError for one that the image lacks."""
    name = user.partition(":")[0]
    if name in ROOT:
        return 0
    if name.isdigit():
        return int(name)
    try:
        chunks, _ = host.api.get_archive(container, "/etc/passwd")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile("passwd")
            lines = member.read().decode(errors="replace").splitlines() if member else []
    except DaemonError as failure:
        if failure.status != HTTPStatus.NOT_FOUND:
            raise
        lines = []
    for line in lines:
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2 and fields[2].isdigit():  # noqa: PLR2004  # name, password, uid
            return int(fields[2])
    raise ProviderError(
        f"The image's user {name} is in no /etc/passwd of it",
        "a secret file cannot be given to it",
        hint="deliver the secret as env: {NAME: {secret: NAME, as: env}}",
    )
