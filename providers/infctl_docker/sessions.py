"""Owns how many sessions at once one host's sshd bears, and which connections carry them.

One connection, made when it is needed; another one only for files, or when long streams hold every session of the
first. Knows no Docker and no commands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infctl_docker.errors import HostDown
from infctl_docker.login import Login
from infctl_docker.streams import Link, Stream

if TYPE_CHECKING:
    import paramiko

SESSIONS = 8  # at once on one connection; sshd's own default for MaxSessions is 10
CONNECTIONS = 4  # at once to one host
PATIENCE = 5.0  # seconds without any session coming free before another connection is made
ENOUGH = 60.0  # seconds of the same where no other connection may be made
ALIVE = 5.0  # seconds that sshd has to answer when it is asked whether it lives


@dataclass(eq=False)
class Connection(Link):
    """One SSH connection. `taken` sessions are open of the `bears` that its sshd is known to allow, `opened` ever were.

    A `packed` one is compressed: what the daemon says shrinks to a tenth, which is fewer round trips; files go four
    times slower through it (measured: 28 against 124 MB/s), so they have a connection of their own.
    """

    place: str
    login: Login
    packed: bool = True
    taken: int = 0
    bears: int = SESSIONS
    opened: int = 0
    asking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def transport(self) -> paramiko.Transport:
        return self.login.transport

    def lives(self) -> bool:
        """Ask sshd for an answer, whatever it is; a connection that gives none is closed."""
        with self.asking:
            asked = threading.Thread(target=self._ask, daemon=True)
            asked.start()
            asked.join(ALIVE)
            if asked.is_alive():
                self.login.close()
        return self.transport.is_active()

    def _ask(self) -> None:
        with suppress(EOFError, OSError):  # it ended meanwhile: is_active says so
            self.transport.global_request("keepalive@openssh.com", wait=True)


class Sessions:
    """The sessions of one host: taken, given back, or lent as an idle stream. `changed` guards all of it."""

    def __init__(self, place: str, connect: Callable[[bool], Login]) -> None:
        self.changed = threading.Condition()
        self.idle: list[Stream] = []
        self._place = place
        self._connect = connect
        self._connections: list[Connection] = []
        self._connecting = False
        self._alone = False
        self._moved = 0.0
        self._down: HostDown | None = None

    def reserve(self, *, packed: bool = True, streams: bool = False) -> Connection | Stream | None:
        """Return a connection with a session to spare, counted as taken, or, if `streams`, an idle stream.

        None says that all are busy and stay so. Raises HostDown.
        """
        began = time.monotonic()
        with self.changed:
            while True:
                if self._down:
                    raise self._down.again()
                if streams and self.idle:
                    return self.idle.pop()
                fit = [each for each in self.alive() if each.packed == packed or self._alone]
                for each in fit:
                    if each.taken < each.bears:
                        each.taken += 1
                        return each
                stuck = time.monotonic() - max(began, self._moved)  # while sessions come free, waiting is enough
                if packed and self.idle:
                    self.idle.pop().close()
                elif self._may_connect(fit, stuck):
                    self._make(packed)
                elif stuck > ENOUGH:
                    return None
                else:
                    self.changed.wait(PATIENCE / 4)

    def _may_connect(self, fit: list[Connection], stuck: float) -> bool:
        if self._connecting or len(self._connections) >= CONNECTIONS:
            return False
        return not fit or (not self._alone and stuck > PATIENCE)

    def any(self) -> Connection:
        """Return a connection of which no session is wanted. Raises HostDown."""
        with self.changed:
            if alive := self.alive():
                return alive[0]
        got = self.reserve()
        assert isinstance(got, Connection)  # noqa: S101  # there was none before
        self.free(got)
        return got

    def alive(self) -> list[Connection]:
        """Return the connections that are; what the others went through is closed."""
        known, self._connections = self._connections, []
        for each in known:
            if each.transport.is_active():
                self._connections.append(each)
            else:
                each.login.close()
        return self._connections

    def free(self, connection: Connection) -> None:
        with self.changed:
            connection.taken -= 1
            self._moved = time.monotonic()
            self.changed.notify_all()

    def lend(self, stream: Stream) -> None:
        """Keep an idle stream for whoever wants one next; its session stays taken."""
        with self.changed:
            self.idle.append(stream)
            self._moved = time.monotonic()
            self.changed.notify_all()

    def refused(self, connection: Connection) -> bool:
        """Learn from sshd's refusal of a session how many it bears; say whether any other is open there."""
        with self.changed:
            connection.taken -= 1
            connection.bears = max(1, min(connection.bears, connection.taken))
            self.changed.notify_all()
            return connection.taken > 0

    def close(self) -> None:
        with self.changed:
            idle, self.idle = self.idle, []
            connections, self._connections = self._connections, []
        for stream in idle:
            stream.close()
        for connection in connections:
            connection.login.close()

    def _make(self, packed: bool) -> None:
        """Make another connection, without the lock. That a second one fails is no error: the first goes on alone."""
        self._connecting = True
        self.changed.release()
        made: Connection | None = None
        failure: HostDown | None = None
        try:
            made = Connection(self._place, self._connect(packed), packed)
        except HostDown as down:
            failure = down
        finally:
            self.changed.acquire()
            self._connecting = False
            self.changed.notify_all()
        if made:
            self._connections.append(made)
        elif self.alive():
            self._alone = True
        else:
            self._down = failure  # this costs its timeout once in a run
