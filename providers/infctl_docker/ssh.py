"""Owns SSH to one host: logging in with a checked host key, and as many sessions at once as its sshd bears.

paramiko's only user besides the config's parser. Knows Docker only as the command whose output is the daemon's.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from infctl_docker.errors import HostDown, cut, no_daemon, no_session, nobody_listens, silent, too_long
from infctl_docker.login import connect
from infctl_docker.ssh_config import Route
from infctl_docker.streams import PIECE, READ, Link, Ran, Stream, Way

if TYPE_CHECKING:
    import paramiko

DIAL = "docker system dial-stdio"  # what the docker CLI runs for ssh:// since 18.09
SESSIONS = 8  # at once on one connection; sshd's own default for MaxSessions is 10
CONNECTIONS = 4  # at once to one host, where long streams hold every session of the first
PATIENCE = 1.0  # seconds to wait for a session to end before another connection is made
REAP = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between tries: sshd counts a session until its command is reaped
ALIVE = 5.0  # seconds that sshd has to answer when it is asked whether it lives


@dataclass(eq=False)
class Connection(Link):
    """One SSH connection. `taken` sessions are open of the `bears` that its sshd is known to allow.

    A `packed` one is compressed: what the daemon says shrinks to a tenth, which is fewer round trips; files go four
    times slower through it (measured: 28 against 124 MB/s), so they have a connection of their own.
    """

    place: str
    transport: paramiko.Transport
    packed: bool = True
    taken: int = 0
    bears: int = SESSIONS
    asking: threading.Lock = field(default_factory=threading.Lock)

    def lives(self) -> bool:
        """Ask sshd for an answer, whatever it is; a connection that gives none is closed."""
        with self.asking:
            asked = threading.Thread(target=self._ask, daemon=True)
            asked.start()
            asked.join(ALIVE)
            if asked.is_alive():
                self.transport.close()
        return self.transport.is_active()

    def _ask(self) -> None:
        with suppress(EOFError, OSError):  # it ended meanwhile: is_active says so
            self.transport.global_request("keepalive@openssh.com", wait=True)


class Session(Link):
    """One command on a host; why it ended is in its stderr."""

    def __init__(self, connection: Connection, channel: paramiko.Channel) -> None:
        self.place = connection.place
        self._connection = connection
        self._channel = channel

    def lives(self) -> bool:
        return self._connection.lives()

    def ended(self) -> HostDown | None:
        if not self._connection.transport.is_active():
            return cut(self.place)
        self._channel.settimeout(ALIVE)
        said = b""
        with suppress(TimeoutError):
            while data := self._channel.recv_stderr(65_536):
                said += data
        self._channel.status_event.wait(ALIVE)
        status = self._channel.exit_status if self._channel.exit_status_ready() else None
        return no_daemon(self.place, status, said.decode(errors="replace"))


class Ssh(Way):
    """A host reached by SSH: one connection, made when it is needed, and more only when every session is held."""

    has_shell = True

    def __init__(self, place: str, route: Route, seconds: float) -> None:
        super().__init__()
        self.place = place
        self._route = route
        self._seconds = seconds
        self._connections: list[Connection] = []
        self._connecting = False
        self._down: HostDown | None = None

    def open(self) -> Stream:
        connection, channel = self._session(DIAL)
        link = Session(connection, channel)
        return Stream(channel, link, on_close=lambda: self._free(connection))

    def run(self, argv: Sequence[str], timeout: float, feed: BinaryIO | None = None) -> Ran:
        connection, channel = self._session(shlex.join(argv), packed=feed is None)
        try:
            return _gather(channel, timeout, feed)
        except TimeoutError:
            raise (too_long if connection.lives() else silent)(self.place, argv[0], timeout) from None
        except OSError as failure:
            raise cut(self.place, str(failure)) from failure
        finally:
            channel.close()
            self._free(connection)

    def dial(self, port: int) -> Stream:
        from paramiko import ChannelException, SSHException  # noqa: PLC0415  # loaded by then

        connection = self._reserve(sessions=0)
        try:
            channel = connection.transport.open_channel(
                "direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=self._seconds
            )
        except ChannelException as refused:
            raise nobody_listens(self.place, port, refused.text) from refused
        except (SSHException, OSError, EOFError) as failure:
            raise self._lost(connection, failure) from failure
        return Stream(channel, connection, f"port {port}")

    def usable(self, stream: Stream) -> bool:
        channel: paramiko.Channel = stream.carrier  # type: ignore[assignment]  # ours: made in open()
        return not (channel.closed or channel.eof_received or channel.recv_ready() or channel.recv_stderr_ready())

    def close(self) -> None:
        self.drop_idle()
        with self.changed:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.transport.close()

    def _session(self, command: str, *, packed: bool = True) -> tuple[Connection, paramiko.Channel]:
        """Start a command. sshd's refusal teaches how many sessions it bears, and is never an error if it bears one."""
        from paramiko import ChannelException, SSHException  # noqa: PLC0415  # loaded by then

        pauses = iter(REAP)
        while True:
            connection = self._reserve(packed=packed)
            try:
                channel = connection.transport.open_session(timeout=self._seconds)
                channel.settimeout(self._seconds)
                channel.exec_command(command)
            except ChannelException as refused:
                self._free(connection)
                pause = next(pauses, None)
                if pause is None and not connection.taken:
                    raise no_session(self.place, self._route.user, refused.text) from refused
                time.sleep(pause or 0)
                if pause is None:
                    pauses = iter(REAP)
                    with self.changed:
                        connection.bears = max(1, connection.taken)
            except (SSHException, OSError, EOFError) as failure:
                self._free(connection)
                raise self._lost(connection, failure) from failure
            else:
                return connection, channel

    def _reserve(self, sessions: int = 1, *, packed: bool = True) -> Connection:
        """Return a connection with a session to spare, counted as taken. Raises HostDown."""
        with self.changed:
            began = time.monotonic()
            while True:
                if self._down:
                    raise self._down.again()
                self._connections = [each for each in self._connections if each.transport.is_active()]
                fit = [each for each in self._connections if each.packed == packed]
                for each in fit:
                    if each.taken + sessions <= each.bears or not sessions:
                        each.taken += sessions
                        return each
                if self.idle and packed:
                    self.idle.pop().close()
                    continue
                full = len(self._connections) >= CONNECTIONS
                waited = time.monotonic() - began
                hurry = not fit or waited > PATIENCE
                if hurry and not full and not self._connecting:
                    self._connecting = True
                    break
                if waited > READ:
                    raise no_session(self.place, self._route.user, "all are held by streams")
                self.changed.wait(PATIENCE / 4)
        return self._connect(sessions, packed=packed)

    def _connect(self, sessions: int, *, packed: bool) -> Connection:
        made: Connection | None = None
        try:
            transport = connect(self.place, self._route, self._seconds, packed=packed)
            made = Connection(self.place, transport, packed, taken=sessions)
        except HostDown as down:
            if not self._connections:
                self._down = down  # this costs its timeout once in a run
            raise
        finally:
            with self.changed:
                self._connecting = False
                if made:
                    self._connections.append(made)
                self.changed.notify_all()
        return made

    def _free(self, connection: Connection) -> None:
        with self.changed:
            connection.taken -= 1
            self.changed.notify_all()

    def _lost(self, connection: Connection, failure: Exception) -> HostDown:
        slow = isinstance(failure, TimeoutError) or "Timeout" in str(failure)
        if connection.transport.is_active() and not slow:
            return no_session(self.place, self._route.user, str(failure))
        connection.transport.close()
        return silent(self.place, f"sshd at {self._route.at}", self._seconds) if slow else cut(self.place, str(failure))


def _gather(channel: paramiko.Channel, timeout: float, feed: BinaryIO | None) -> Ran:
    """Feed a command and read it to its end: both of its outputs, since a full one would block the other."""
    out: list[bytes] = []
    err: list[bytes] = []
    channel.settimeout(timeout)
    errors = threading.Thread(target=_drain, args=(channel, err), daemon=True)
    errors.start()
    with suppress(OSError):  # a command may end before it has read all; one that hangs is found out below
        while feed and (data := feed.read(PIECE)):
            channel.sendall(data)
        channel.shutdown_write()
    while data := channel.recv(65_536):
        out.append(data)
    errors.join(timeout)
    channel.status_event.wait(ALIVE)
    if not channel.exit_status_ready():
        raise OSError("it ended without a status")
    said = (b"".join(each).decode(errors="replace") for each in (out, err))
    return Ran(channel.exit_status, *said)


def _drain(channel: paramiko.Channel, into: list[bytes]) -> None:
    with suppress(OSError):
        while data := channel.recv_stderr(65_536):
            into.append(data)


logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else Python prints its tracebacks to stderr
