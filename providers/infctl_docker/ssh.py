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
from typing import TYPE_CHECKING

from infctl_docker.errors import HostDown, cut, no_daemon, silent
from infctl_docker.login import connect
from infctl_docker.ssh_config import Route
from infctl_docker.streams import Link, Ran, Stream, Way

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
    """One SSH connection. `taken` sessions are open of the `bears` that its sshd is known to allow."""

    place: str
    transport: paramiko.Transport
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

    def run(self, argv: Sequence[str], timeout: float, feed: bytes = b"") -> Ran:
        connection, channel = self._session(shlex.join(argv))
        try:
            return self._gather(channel, connection, timeout, feed)
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
            raise HostDown(
                self.place,
                f"nothing answers at 127.0.0.1:{port} there ({refused.text})",
                "see that the container runs, and that AllowTcpForwarding is on in the host's sshd_config",
            ) from refused
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

    def _session(self, command: str) -> tuple[Connection, paramiko.Channel]:
        """Start a command. sshd's refusal teaches how many sessions it bears, and is never an error if it bears one."""
        from paramiko import ChannelException, SSHException  # noqa: PLC0415  # loaded by then

        pauses = iter(REAP)
        while True:
            connection = self._reserve()
            try:
                channel = connection.transport.open_session(timeout=self._seconds)
                channel.settimeout(self._seconds)
                channel.exec_command(command)
            except ChannelException as refused:
                self._free(connection)
                pause = next(pauses, None)
                if pause is None and not connection.taken:
                    raise HostDown(
                        self.place,
                        f"sshd allows {self._route.user} no command ({refused.text})",
                        "look at MaxSessions, ForceCommand and the user's line in the host's sshd_config",
                    ) from refused
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

    def _reserve(self, sessions: int = 1) -> Connection:
        """Return a connection with a session to spare, counted as taken. Raises HostDown."""
        with self.changed:
            patient = time.monotonic() + PATIENCE
            while True:
                if self._down:
                    raise self._down.again()
                self._connections = [each for each in self._connections if each.transport.is_active()]
                for each in self._connections:
                    if each.taken + sessions <= each.bears or not sessions:
                        each.taken += sessions
                        return each
                if self.idle:
                    self.idle.pop().close()
                    continue
                full = len(self._connections) >= CONNECTIONS
                hurry = not self._connections or time.monotonic() > patient
                if hurry and not full and not self._connecting:
                    self._connecting = True
                    break
                self.changed.wait(PATIENCE / 4)
        return self._connect(sessions)

    def _connect(self, sessions: int) -> Connection:
        made: Connection | None = None
        try:
            made = Connection(self.place, connect(self.place, self._route, self._seconds), taken=sessions)
        except HostDown as down:
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
        connection.transport.close()
        if isinstance(failure, TimeoutError) or "Timeout" in str(failure):
            return silent(self.place, f"sshd at {self._route.at}", self._seconds)
        return cut(self.place, str(failure))

    def _gather(self, channel: paramiko.Channel, link: Connection, timeout: float, feed: bytes) -> Ran:
        """Feed a command and read it to its end: both of its outputs, since a full one would block the other."""
        out: list[bytes] = []
        err: list[bytes] = []
        channel.settimeout(timeout)
        errors = threading.Thread(target=_drain, args=(channel.recv_stderr, err), daemon=True)
        errors.start()
        try:
            if feed:
                channel.sendall(feed)
            channel.shutdown_write()
            while data := channel.recv(65_536):
                out.append(data)
        except TimeoutError:
            alive = link.lives()
            raise silent(self.place, "the command" if alive else "the host", timeout) from None
        except OSError as failure:
            raise cut(self.place, str(failure)) from failure
        errors.join(timeout)
        channel.status_event.wait(ALIVE)
        if not channel.exit_status_ready():
            raise cut(self.place)
        said = (b"".join(each).decode(errors="replace") for each in (out, err))
        return Ran(channel.exit_status, *said)


def _drain(read: object, into: list[bytes]) -> None:
    assert callable(read)  # noqa: S101
    with suppress(TimeoutError, OSError):
        while data := read(65_536):
            into.append(data)


logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else Python prints its tracebacks to stderr
