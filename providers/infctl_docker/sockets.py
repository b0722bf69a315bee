"""Owns a daemon that listens on a socket: unix:// of this machine, tcp:// with TLS or, where that was said, without.

Knows nothing of SSH or HTTP.
"""

from __future__ import annotations

import io
import socket
import ssl
import subprocess
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from infctl.provider.errors import ProviderError
from infctl_docker import errors
from infctl_docker.errors import HostDown
from infctl_docker.login import open_tcp
from infctl_docker.streams import Link, Ran, Stream, Way, silent_socket


class Plugged(Link):
    """The kernel watches a socket: what it has not closed lives."""

    def __init__(self, place: str, at: str) -> None:
        self.place = place
        self._at = at

    def lives(self) -> bool:
        return True

    def broke(self, failure: Exception) -> HostDown:
        if isinstance(failure, ssl.SSLError):  # in TLS 1.3 what the server thinks of us comes after the handshake
            return errors.not_tls(self.place, self._at, failure)
        return super().broke(failure)


class Socket(Way):
    """What both kinds of socket have in common."""

    def __init__(self, place: str, at: str, seconds: float) -> None:
        self.place = place
        self._at = at
        self._idle: list[Stream] = []  # appended and popped, each at one stroke
        self._seconds = seconds
        self._link = Plugged(place, at)

    def run(self, argv: Sequence[str], timeout: float, feed: BinaryIO | None = None) -> Ran:
        del argv, timeout, feed
        raise no_shell(self.place)

    def dial(self, port: int) -> Stream:
        del port
        raise no_shell(self.place)

    def take(self, *, packed: bool = True) -> tuple[Stream, bool]:
        del packed  # nothing is
        with suppress(IndexError):
            while stream := self._idle.pop():
                assert isinstance(stream.carrier, socket.socket)  # noqa: S101  # ours: made in open()
                if silent_socket(stream.carrier):
                    return stream, True
                stream.close()
        return self.open(), False

    def give(self, stream: Stream) -> None:
        self._idle.append(stream)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    @abstractmethod
    def open(self) -> Stream:
        """Return a new stream to the daemon. Raises HostDown."""


class Unix(Socket):
    """A daemon's socket file. With `has_shell` its host is this machine; a socket that leads elsewhere has none."""

    def __init__(self, place: str, path: str, seconds: float, *, has_shell: bool) -> None:
        super().__init__(place, path, seconds)
        self._path = path
        self.has_shell = has_shell

    def open(self) -> Stream:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(self._seconds)
        try:
            sock.connect(self._path)
        except OSError as failure:
            sock.close()
            raise errors.no_socket(self.place, self._path, failure) from failure
        return Stream(sock, self._link)

    def run(self, argv: Sequence[str], timeout: float, feed: BinaryIO | None = None) -> Ran:
        if not self.has_shell:
            raise no_shell(self.place)
        try:
            ran = _run_here(argv, timeout, feed)
        except subprocess.TimeoutExpired:
            raise errors.too_long(self.place, argv[0], timeout) from None
        except OSError as failure:  # as a shell says it: 127 not found, 126 not to be run
            return Ran(127 if isinstance(failure, FileNotFoundError) else 126, "", f"{argv[0]}: {failure.strerror}")
        return Ran(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))

    def dial(self, port: int) -> Stream:
        try:
            sock = socket.create_connection(("127.0.0.1", port), self._seconds)
        except OSError as failure:
            raise errors.nobody_listens(self.place, port, str(failure)) from failure
        return Stream(sock, self._link, f"port {port}")


class Tcp(Socket):
    """A daemon that listens on the network. `context` None is a connection that anybody on the way can read."""

    def __init__(
        self, place: str, host: str, port: int, seconds: float, context: Callable[[], ssl.SSLContext] | None
    ) -> None:
        super().__init__(place, f"{host}:{port}", seconds)
        self._host = host
        self._port = port
        self._make = context
        self._down: HostDown | None = None

    @cached_property
    def _context(self) -> ssl.SSLContext | None:
        return self._make() if self._make else None

    def open(self) -> Stream:
        if self._down:
            raise self._down.again()
        try:
            return self._open()
        except HostDown as down:
            self._down = down  # this costs its timeout once in a run
            raise

    def _open(self) -> Stream:
        context = self._context
        sock = open_tcp(self.place, self._host, self._port, self._seconds, self._seconds)
        if context:
            try:
                sock = context.wrap_socket(sock, server_hostname=self._host)
            except ssl.SSLError as failure:
                raise errors.not_tls(self.place, self._at, failure) from failure
            except OSError as failure:
                raise errors.not_connected(self.place, self._host, self._port, failure, self._seconds) from failure
        return Stream(sock, self._link)


def _run_here(argv: Sequence[str], timeout: float, feed: BinaryIO | None) -> subprocess.CompletedProcess[bytes]:
    """Run a command of this machine. One that is fed may take its time: how much there is to feed, nobody knows."""
    if feed is None:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
    if isinstance(feed, io.BytesIO):
        return subprocess.run(argv, input=feed.read(), capture_output=True, check=False)
    return subprocess.run(argv, stdin=feed, capture_output=True, check=False)


def no_shell(place: str) -> ProviderError:
    return ProviderError(
        f"{place} has no shell", "it is reached only through Docker's API", hint="use ssh:// for this host"
    )


def tls_context(place: str, folder: Path) -> ssl.SSLContext:
    """Return TLS as the docker CLI has it in DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem. Raises HostDown."""
    context = ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem", password=_no_password)
    except (OSError, ValueError) as failure:  # ssl.SSLError is an OSError
        why = (isinstance(failure, OSError) and failure.strerror) or str(failure)
        raise HostDown(
            place,
            f"its certificates in {folder} cannot be read: {why}",
            "the folder must hold ca.pem, cert.pem and key.pem (without a passphrase)",
        ) from failure
    return context


def _no_password() -> str:
    raise ValueError("key.pem needs a passphrase")
