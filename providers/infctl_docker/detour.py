"""Owns reaching a port of a host's loopback where sshd forwards none, or is none: through the host's proxy container.

That one shares the host's network, and has `nc`. Knows nothing of what the proxy is for.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from infctl.provider.errors import ProviderError
from infctl_docker.errors import nobody_listens
from infctl_docker.sockets import Plugged
from infctl_docker.streams import Stream, Tap

if TYPE_CHECKING:
    from infctl_docker.hosts import Host

RUNNING = "/containers/json?filters=%7B%22label%22%3A%5B%22infctl.id%22%5D%7D"  # {"label": ["infctl.id"]}
OUT, ERR = 1, 2  # of a frame; Docker's API, "Attach to a container", stream format
HEADER = 8


def dial_through(host: Host, port: int) -> Stream:
    """Return a stream to 127.0.0.1:`port` of a host that is reached by Docker's API alone. Raises ProviderError."""
    inside = next((one["Id"] for one in host.ask(RUNNING) if one["HostConfig"].get("NetworkMode") == "host"), None)
    if inside is None:
        raise ProviderError(
            f"Port {port} of {host.name} cannot be reached",
            "it could be only through a container, and no proxy of infctl runs there to ask",
            hint="the next `infctl apply` makes it; or use ssh:// for this host, with AllowTcpForwarding in its sshd",
        )
    run = host.api.exec_create(inside, ["nc", "127.0.0.1", str(port)], stdin=True)["Id"]
    tap: Any = host.api.exec_start(run, socket=True)
    link = Plugged(host.name, f"port {port}")
    return Stream(Framed(tap, host.name, port), link, f"port {port}")


class Framed:
    """The output of a command inside a container, without the frames that tell its stdout from its stderr."""

    def __init__(self, tap: Tap, place: str, port: int) -> None:
        self._tap = tap
        self._place = place
        self._port = port
        self._held = b""
        self._errors = b""
        self._heard = False
        self.sendall = tap.sendall
        self.settimeout = tap.settimeout
        self.shutdown = tap.shutdown

    def recv(self, n: int) -> bytes:
        while not self._held:
            header = self._exactly(HEADER)
            if len(header) < HEADER:
                if not self._heard and self._errors:
                    raise nobody_listens(self._place, self._port, self._errors.decode(errors="replace").strip())
                return b""
            data = self._exactly(int.from_bytes(header[4:], "big"))
            if header[0] == OUT:
                self._held = data
            else:
                self._errors += data
        self._heard = True
        data, self._held = self._held[:n], self._held[n:]
        return data

    def close(self) -> None:
        self._tap.shutdown(socket.SHUT_RDWR)  # docker-py keeps the connection, so closing the file alone is not enough
        self._tap.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self._tap.recv(size - len(data))):
            data += more
        return data
