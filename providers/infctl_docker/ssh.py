"""Owns asking one host by SSH: the daemon's streams, commands, ports; each is a channel of a connection.

Knows Docker only as the command that passes bytes to the daemon; logging in is in `login`, who may speak in `sessions`.
"""

from __future__ import annotations

import logging
import random
import shlex
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from infctl_docker.errors import HostDown, cut, no_daemon, no_session, nobody_listens, silent, too_long
from infctl_docker.login import connect
from infctl_docker.sessions import ALIVE, Connection, Sessions
from infctl_docker.ssh_config import Route
from infctl_docker.streams import PIECE, Link, Ran, Stream, Way

if TYPE_CHECKING:
    import paramiko

DIAL = "docker system dial-stdio"  # what the docker CLI runs for ssh:// since 18.09
NONE = -1  # paramiko's exit status of a command that has none: it runs, or its connection is gone, or a signal ended it
KILLED = 255  # OpenSSH's for a command that a signal ended
REFUSALS = 5  # of a port, one after the other, until it is not another thread's refusal that was told
REAPED = 5.0  # seconds in which an sshd that bears one session gets rid of the last: it counts until its command ends


class Session(Link):
    """One command on a host; why it ended is in its stderr."""

    def __init__(self, connection: Connection, channel: paramiko.Channel) -> None:
        self.place = connection.place
        self.connection = connection
        self._channel = channel

    def lives(self) -> bool:
        return self.connection.lives()

    def ended(self, heard: bool) -> HostDown | None:
        if _torn(self._channel):
            return cut(self.place)
        if heard:
            return None
        self._channel.settimeout(ALIVE)
        said = b""
        with suppress(TimeoutError):
            while data := self._channel.recv_stderr(65_536):
                said += data
        self._channel.status_event.wait(ALIVE)
        status = None if self._channel.exit_status == NONE else self._channel.exit_status
        return no_daemon(self.place, status, said.decode(errors="replace"))


class Ssh(Way):
    """A host reached by SSH; the daemon's streams are sessions of a command that passes its bytes through."""

    has_shell = True

    def __init__(self, place: str, route: Route, seconds: float) -> None:
        self.place = place
        self._route = route
        self._seconds = seconds
        self._sessions = Sessions(place, lambda packed: connect(place, route, seconds, packed=packed))

    def take(self, *, packed: bool = True) -> tuple[Stream, bool]:
        while True:
            got = self._sessions.reserve(packed=packed, streams=packed)
            if not isinstance(got, Stream):
                return self._dial_daemon(got, packed=packed), False
            channel: paramiko.Channel = got.carrier  # type: ignore[assignment]  # ours: made in _dial_daemon()
            heard = channel.recv_ready() or channel.recv_stderr_ready() or channel.eof_received
            if not (heard or channel.closed):
                return got, True
            got.close()

    def give(self, stream: Stream) -> None:
        if isinstance(stream.link, Session) and stream.link.connection.packed:
            self._sessions.lend(stream)
        else:
            stream.close()

    def run(self, argv: Sequence[str], timeout: float, feed: BinaryIO | None = None) -> Ran:
        packed = feed is None
        connection, channel = self._start(shlex.join(argv), self._sessions.reserve(packed=packed), packed=packed)
        try:
            return _gather(channel, timeout, feed)
        except TimeoutError:
            raise (too_long if connection.lives() else silent)(self.place, argv[0], timeout) from None
        except OSError as failure:
            raise cut(self.place, str(failure)) from failure
        finally:
            channel.close()
            self._sessions.free(connection)

    def dial(self, port: int) -> Stream:
        from paramiko import ChannelException, SSHException  # noqa: PLC0415  # loaded by then

        there, here = ("127.0.0.1", port), ("127.0.0.1", 0)
        for again in reversed(range(REFUSALS)):
            connection = self._sessions.any()
            try:
                channel = connection.transport.open_channel("direct-tcpip", there, here, timeout=self._seconds)
            except ChannelException as refused:
                raise nobody_listens(self.place, port, refused.text) from refused
            except (SSHException, OSError, EOFError) as failure:
                if not self._refuses(connection, failure):
                    raise self._lost(connection, failure) from failure
                if not again:
                    raise nobody_listens(self.place, port, str(failure)) from failure
            else:
                return Stream(channel, connection, f"port {port}")
        raise AssertionError  # the last one raises or returns

    def close(self) -> None:
        self._sessions.close()

    def _dial_daemon(self, reserved: Connection | None, *, packed: bool) -> Stream:
        connection, channel = self._start(DIAL, reserved, packed=packed)
        return Stream(channel, Session(connection, channel), on_close=lambda: self._sessions.free(connection))

    def _start(
        self, command: str, reserved: Connection | Stream | None, *, packed: bool = True
    ) -> tuple[Connection, paramiko.Channel]:
        """Start a command. sshd's refusal teaches how many sessions it bears, and is never an error if it bears one."""
        from paramiko import SSHException  # noqa: PLC0415  # loaded by then

        opened, until = -1, 0.0
        while isinstance(reserved, Connection):
            try:
                channel = reserved.transport.open_session(timeout=self._seconds)
                channel.settimeout(self._seconds)
                channel.exec_command(command)
            except (SSHException, OSError, EOFError) as failure:
                if not self._refuses(reserved, failure):
                    self._sessions.free(reserved)
                    raise self._lost(reserved, failure) from failure
                others = self._sessions.refused(reserved)
                if others or reserved.opened != opened:  # it bears some: wait for those to end
                    opened, until = reserved.opened, time.monotonic() + REAPED
                elif time.monotonic() > until:
                    raise no_session(self.place, self._route.user, str(failure)) from failure
                time.sleep(0 if others else random.uniform(0.02, 0.1))  # noqa: S311  # not all at the same instant
                reserved = self._sessions.reserve(packed=packed)
            else:
                reserved.opened += 1
                return reserved, channel
        raise no_session(self.place, self._route.user, "streams hold all that it bears")

    def _refuses(self, connection: Connection, failure: Exception) -> bool:
        """Return whether sshd itself said no. Of threads refused at once paramiko tells only one what the code was."""
        from paramiko import ChannelException  # noqa: PLC0415  # loaded by then

        refused = isinstance(failure, ChannelException) or "Unable to open channel" in str(failure)
        return refused and connection.transport.is_active()

    def _lost(self, connection: Connection, failure: Exception) -> HostDown:
        slow = isinstance(failure, TimeoutError) or "Timeout" in str(failure)
        if connection.transport.is_active() and not slow:
            return no_session(self.place, self._route.user, str(failure))
        connection.login.close()
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
    if _torn(channel):
        raise OSError("the command was still running")
    status = KILLED if channel.exit_status == NONE else channel.exit_status
    said = (b"".join(each).decode(errors="replace") for each in (out, err))
    return Ran(status, *said)


def _torn(channel: paramiko.Channel) -> bool:
    """Return whether nobody ended a session, but its connection did: sshd tells an end before it closes."""
    return not channel.eof_received and channel.exit_status == NONE


def _drain(channel: paramiko.Channel, into: list[bytes]) -> None:
    with suppress(OSError):
        while data := channel.recv_stderr(65_536):
            into.append(data)


logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else Python prints its tracebacks to stderr
