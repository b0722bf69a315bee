"""Owns the container that a host's proxy runs in: how it is made, and how files, commands and figures get in and out.

The container has no rights but to listen: no capabilities, a read-only root, a user of its own, and one volume that
ends with it. Knows nothing of what the files say.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from infctl.provider.errors import ProviderError
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host
from infctl_docker.listening import COMMAND, Listener, parse_listeners
from infctl_docker.proxy_book import CONFIG
from infctl_docker.proxy_config import FILES

FOLDER = "/etc/infctl"
USER = 99  # of the official image: of proxies that were made before each target had a user of its own
# None of these is a person's account: systemd gives them to services for as long as they run
# (systemd.io/UIDS-GIDS). With user namespaces they exist too, for those have 65,536 users.
USERS = 61_184, 65_519
LOG = {"max-file": "3", "max-size": "10m"}
ANSWER_S = 10.0
LINES = 60  # of the log, when a reload failed


def user_of(lineage: str, target: str) -> int:
    """Return the user that a target's proxies run as, by number, so that the files' owner is the same in any image.

    HAProxy opens its ports so that others may open them too, as a reload must; the kernel lets only the same user do
    so (SO_REUSEPORT in socket(7)). Two stacks that choose the same port at the same moment must not share it.
    """
    first, last = USERS
    return first + int.from_bytes(hashlib.sha256(f"{lineage}/{target}".encode()).digest()[:8], "big") % (
        last - first + 1
    )


def body(image: str, admin: int, user: int, restart: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a create. `admin` is the port of the master socket on loopback, where figures can be read.

    It has level `user`, which shows figures and changes nothing: anybody on the host may ask it.
    """
    return {
        "Image": image,
        "User": f"{user}:{user}",
        "Entrypoint": ["haproxy"],
        "Cmd": ["-W", "-db", "-S", f"127.0.0.1:{admin},level,user", "-f", f"{FOLDER}/{CONFIG}"],
        "Labels": dict(labels),
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "host",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Mounts": [{"Type": "volume", "Target": FOLDER}],
            "Ulimits": [{"Name": "nofile", "Soft": FILES, "Hard": FILES}],
            "RestartPolicy": {"Name": restart, "MaximumRetryCount": 0},
            "LogConfig": {"Type": "json-file", "Config": LOG},
        },
    }


def archive_path(container: str) -> str:
    """Return the path of the one GET that reads all files of a proxy."""
    return f"/containers/{container}/archive?path={quote(FOLDER)}"


def parse_archive(data: bytes) -> dict[str, bytes]:
    """Return the files of a tar archive by their names."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = ((member.name.rpartition("/")[2], tar.extractfile(member)) for member in tar if member.isfile())
        return {name: file.read() for name, file in found if file}


def pack(files: Mapping[str, bytes], user: int) -> bytes:
    """Return a tar archive of files that only this user may read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.mode, member.uid, member.gid = 0o600, user, user
            member.size, member.mtime = len(data), int(time.time())
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class ContainerBox:
    """A proxy's container on one host. `admin` is the port of its master socket, `user` as whom it runs."""

    folder = FOLDER

    def __init__(self, host: Host, container: str, admin: int, user: int) -> None:
        self._host = host
        self._container = container
        self._admin = admin
        self._user = user

    def read(self) -> dict[str, bytes]:
        (answer,) = self._host.read((archive_path(self._container),))
        if answer.status != HTTPStatus.OK:
            raise DaemonError(self._host.name, answer.status, answer.body.decode(errors="replace"))
        return parse_archive(answer.body)

    def write(self, files: Mapping[str, bytes]) -> None:
        self._host.api.put_archive(self._container, FOLDER, pack(files, self._user))

    def check(self, name: str) -> str:
        status, text = self._execute("haproxy", "-c", "-f", f"{FOLDER}/{name}")
        if "Configuration file has no error" in text:  # but no listener: without routes only the master listens
            return ""
        alerts = "\n".join(line for line in text.splitlines() if "[ALERT]" in line)
        return (alerts or text or f"exit status {status}") if status else ""

    def reload(self) -> None:
        self._host.api.kill(self._container, "SIGUSR2")

    def said(self) -> str:
        text: bytes = self._host.api.logs(self._container, tail=LINES)
        return text.decode(errors="replace")

    def listeners(self) -> frozenset[Listener]:
        _, text = self._execute(*COMMAND)
        if "rem_address" not in text:
            raise ProviderError(f"The open ports of {self._host.name} cannot be read", text, hint="check proxy.image")
        return parse_listeners(text)

    def ask(self, command: str) -> str:
        stream = self._host.dial(self._admin)
        try:
            stream.settimeout(ANSWER_S)
            stream.sendall(f"{command}\nquit\n".encode())
            pieces = []
            while piece := stream.recv(1 << 16):
                pieces.append(piece)
            return b"".join(pieces).decode(errors="replace")
        finally:
            stream.close()

    def _execute(self, *argv: str) -> tuple[int, str]:
        api = self._host.api
        run = api.exec_create(self._container, list(argv))["Id"]
        output: bytes = api.exec_start(run)
        return int(api.exec_inspect(run)["ExitCode"] or 0), output.decode(errors="replace")
