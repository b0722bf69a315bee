"""Owns one byte stream to a host, whatever carries it, and which of them lie idle.

A stream is what http.client, docker-py and a probe all take for a socket. Knows neither HTTP nor SSH.
"""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import BinaryIO, NamedTuple, Protocol

from infctl_docker.errors import HostDown, PortClosed, cut, silent

PIECE = 256 * 1024
QUIET = 10.0  # seconds without a byte on a stream without timeout, after which the link is asked whether it lives
DAEMON = "the Docker daemon"
READ = 60.0  # seconds without a byte that an answer may take, as docker-py has it


class Carrier(Protocol):
    """What carries the bytes: a socket or an SSH channel."""

    def recv(self, n: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def settimeout(self, seconds: float | None, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


class Ran(NamedTuple):
    """How a command on a host ended."""

    status: int
    stdout: str
    stderr: str


class Link(ABC):
    """What a stream asks about the connection below it."""

    place: str

    @abstractmethod
    def lives(self) -> bool:
        """Return whether the other end still answers, within seconds."""

    def broke(self, failure: Exception) -> HostDown:
        """Return what is to be said of a stream that broke."""
        return cut(self.place, str(failure))

    def ended(self, heard: bool) -> HostDown | None:
        """Return why a stream ended if it should not have; `heard` says whether it brought a byte before."""
        del heard
        return None


class Stream:
    """A blocking byte stream. Everything that goes wrong on it is HostDown, also a timeout.

    Without a timeout a read waits for ever, but only as long as the link below lives.
    """

    def __init__(
        self, carrier: Carrier, link: Link, what: str = DAEMON, on_close: Callable[[], None] = lambda: None
    ) -> None:
        self.link = link
        self.carrier = carrier
        self._what = what
        self._on_close = on_close
        self._timeout: float | None = READ
        self._files = 0
        self._closing = False
        self._closed = False
        self._heard = False
        carrier.settimeout(READ)

    def recv(self, n: int) -> bytes:
        while True:
            try:
                data = self.carrier.recv(n)
            except PortClosed:
                raise
            except (OSError, EOFError) as failure:
                if _quiet(failure):
                    if self._timeout is None and self.link.lives():
                        continue
                    raise self._silent() from None
                raise self.link.broke(failure) from failure
            if not data and (why := self.link.ended(self._heard)):
                raise why
            self._heard = True
            return data

    def sendall(self, data: bytes | memoryview) -> None:
        whole = memoryview(data)
        try:
            for start in range(0, len(whole), PIECE):  # paramiko copies all that is left for each packet
                self.carrier.sendall(bytes(whole[start : start + PIECE]))
        except (OSError, EOFError) as failure:
            if _quiet(failure):
                raise self._silent() from None
            raise (self.link.ended(self._heard) or self.link.broke(failure)) from failure

    def send(self, data: bytes | memoryview) -> int:
        self.sendall(data)
        return len(data)

    def settimeout(self, seconds: float | None) -> None:
        """Let each read and write wait this long for a byte; None waits as long as the link lives."""
        self._timeout = seconds
        self.carrier.settimeout(QUIET if seconds is None else seconds)

    def gettimeout(self) -> float | None:
        return self._timeout

    def setsockopt(self, *_: object) -> None:
        """Take what HTTP clients set on TCP sockets; what carries the stream was set when it was opened."""

    def fileno(self) -> int:
        """Return a descriptor that is always readable: bytes may wait in user space, so only `recv` can tell."""
        return _always_ready()

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> io.BufferedReader:
        """Return a reader that takes no byte more than it is asked for: a hijacked stream goes on right behind."""
        assert mode == "rb", mode  # noqa: S101  # http.client asks for nothing else
        return io.BufferedReader(Tap(self), 1 if buffering is None else buffering)

    def shutdown(self, how: int) -> None:
        """End one direction; both at once is the end, whoever still holds a reader of it."""
        if how == socket.SHUT_RDWR:
            self._files = 0
            self.close()
            return
        try:
            self.carrier.shutdown(how)
        except OSError as failure:
            raise cut(self.link.place, str(failure)) from failure

    def close(self) -> None:
        """Close once the last reader made of it is closed, as sockets do."""
        self._closing = True
        self.drop(0)

    def drop(self, files: int) -> None:
        self._files -= files
        if self._closing and self._files <= 0 and not self._closed:
            self._closed = True
            with suppress(OSError, EOFError):  # the link below may be gone already
                self.carrier.close()
            self._on_close()

    def hold(self) -> None:
        self._files += 1

    def _silent(self) -> HostDown:
        alive = self._timeout is not None and self.link.lives()
        seconds = QUIET if self._timeout is None else self._timeout
        return silent(self.link.place, self._what if alive else "the host", seconds)


class Tap(io.RawIOBase):
    """The reading side of a stream as a file; docker-py takes it for the socket of a hijacked connection."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = self._sock = stream  # _sock is where docker-py looks for what to shut down
        self.recv = stream.recv
        self.send = stream.send
        self.sendall = stream.sendall
        self.settimeout = stream.settimeout
        self.gettimeout = stream.gettimeout
        self.shutdown = stream.shutdown
        stream.hold()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.drop(1)


class Way(ABC):
    """How one host is reached. Everything raises HostDown, or ProviderError where the host is not to blame."""

    place: str
    has_shell = False

    @abstractmethod
    def take(self, *, packed: bool = True) -> tuple[Stream, bool]:
        """Return a stream to the daemon, and whether it served before; not `packed` if it is to carry files."""

    @abstractmethod
    def give(self, stream: Stream) -> None:
        """Take back a stream whose last answer was read whole."""

    @abstractmethod
    def run(self, argv: Sequence[str], timeout: float, feed: BinaryIO | None = None) -> Ran: ...

    @abstractmethod
    def dial(self, port: int) -> Stream: ...

    @abstractmethod
    def close(self) -> None: ...


def _quiet(failure: Exception) -> bool:
    """Return whether only our own timeout passed: the kernel's has a number, and is the end of the connection."""
    return isinstance(failure, TimeoutError) and failure.errno is None


def silent_socket(sock: socket.socket) -> bool:
    """Return whether nothing waits on a socket, neither bytes nor its end."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return False
    asked = select.poll()
    asked.register(sock, select.POLLIN)
    return not asked.poll(0)


@cache
def _always_ready() -> int:
    return os.open(os.devnull, os.O_RDONLY)
