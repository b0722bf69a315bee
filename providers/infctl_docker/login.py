"""Owns logging in: from a route to an SSH connection whose host key is checked, within a number of seconds.

Every part is bounded by one clock: name resolution, TCP, banner, key exchange, each key. Asks nobody for anything.
"""

from __future__ import annotations

import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from infctl_docker import errors
from infctl_docker.errors import HostDown
from infctl_docker.known_hosts import Line, Verdict, find_keys, fingerprint, judge
from infctl_docker.ssh_config import Route

if TYPE_CHECKING:
    import paramiko

# Times the seconds that connecting may take: an idle link is asked after IDLE, and again every PROBE; one that lost the
# other end is given up by the kernel after DEAD without an answer to what we sent.
IDLE, PROBE, DEAD = 1, 0.5, 2.5
TURNED_AWAY = (0.2, 0.4, 0.8, 1.6)  # seconds between tries at an sshd that drops connections


class TurnedAway(Exception):  # noqa: N818  # a turn of events inside this file
    """The other end closed the connection before it said that it is sshd."""


class Login(NamedTuple):
    """A connection that is logged in, and what it goes through: jump hosts, or the socket of a command."""

    transport: paramiko.Transport
    below: tuple[Any, ...] = ()

    def close(self) -> None:
        for each in (self.transport, *self.below):
            with suppress(Exception):  # it may be gone already, which is what is wanted
                each.close()


def connect(place: str, route: Route, seconds: float, *, packed: bool) -> Login:
    """Return a connection that is logged in, through all jumps of the route; `packed` asks for compression.

    Raises HostDown within `seconds`.
    """
    attempt = Attempt(place, route, seconds, packed=packed)
    thread = threading.Thread(target=attempt.run, daemon=True, name=f"ssh {place}")
    thread.start()
    thread.join(seconds)
    return attempt.result()


class Attempt:
    """One login in a thread of its own, since name resolution and agents know no timeout."""

    def __init__(self, place: str, route: Route, seconds: float, *, packed: bool) -> None:
        self._place = place
        self._packed = packed
        self._route = route
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._stage = route.at
        self._open: list[Any] = []  # what to close when this is given up, in the order it was opened
        self._lock = threading.Lock()
        self._made: Login | None = None
        self._failure: BaseException | None = None
        self._over = False

    def run(self) -> None:
        made, failure = None, None
        try:
            made = self._reach()
        except BaseException as wrong:  # noqa: BLE001  # raised again in the thread that asked
            failure = wrong
        with self._lock:
            self._made, self._failure = made, failure
            given_up = self._over
        if given_up or failure:
            self._close()

    def result(self) -> Login:
        """Return what `run` made, or raise what it met; what comes later is closed."""
        with self._lock:
            self._over = True
            made, failure = self._made, self._failure
        if made:
            return made
        if failure:
            raise failure
        self._close()
        raise errors.silent(self._place, self._stage, self._seconds)

    def _close(self, keep: int = 0) -> None:
        """Close what was opened, the last first, but for the first `keep`."""
        while len(self._open) > keep:
            with suppress(Exception):  # nothing is left to be said about what is given up
                self._open.pop().close()

    def _left(self) -> float:
        return max(0.1, self._until - time.monotonic())

    def _reach(self) -> Login:
        transport: paramiko.Transport | None = None
        for route in (*self._route.jumps, self._route):
            transport = self._enter(route, transport)
        assert transport is not None  # noqa: S101  # the route itself is always there
        return Login(transport, tuple(reversed(self._open[:-1])))

    def _enter(self, route: Route, jump: paramiko.Transport | None) -> paramiko.Transport:
        """Log in to one host. sshd drops some of many that come at once (MaxStartups): those come again."""
        pauses = iter(() if route.command else TURNED_AWAY)
        below = len(self._open)
        while True:
            self._stage = route.at
            carrier = self._channel(jump, route) if jump else self._carrier(route)
            self._stage = f"sshd at {route.at}"
            try:
                return self._login(route, carrier)
            except TurnedAway as away:
                self._close(keep=below)
                if not (pause := next(pauses, 0.0)):
                    raise errors.not_sshd(self._place, route.at, route.command) from away
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # so that they do not all come again at once

    def _carrier(self, route: Route) -> Any:
        if route.command:
            made = open_command(route.command)
        else:
            made = open_tcp(self._place, route.host, route.port, self._left(), self._seconds)
        self._open.append(made)
        return made

    def _channel(self, jump: paramiko.Transport, route: Route) -> Any:
        from paramiko import ChannelException  # noqa: PLC0415  # loaded when an ssh host is used

        try:
            channel = jump.open_channel(
                "direct-tcpip", (route.host, route.port), ("127.0.0.1", 0), timeout=self._left()
            )
        except ChannelException as refused:
            raise HostDown(
                self._place,
                f"the jump host cannot reach {route.at} ({refused.text})",
                "check ProxyJump in ~/.ssh/config, and AllowTcpForwarding on the jump host",
            ) from refused
        self._open.append(channel)
        return channel

    def _login(self, route: Route, carrier: Any) -> paramiko.Transport:
        from paramiko import SSHException, Transport  # noqa: PLC0415  # loaded when an ssh host is used

        known = find_keys(route.known_as, route.known_hosts)
        transport = Transport(carrier)
        try:
            self._open.append(transport)
            transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = self._left()
            options = transport.get_security_options()
            kinds = {line.kind for line in known if not line.revoked}
            first = tuple(kind for kind in options.key_types if _kind(kind) in kinds)
            options.ciphers = tuple(each for each in options.ciphers if "cbc" not in each)  # as OpenSSH: no longer
            options.digests = tuple(each for each in options.digests if "md5" not in each)
            options.key_types = (*first, *(kind for kind in options.key_types if kind not in first))
            if self._packed and route is self._route:  # on a jump host it would be done twice
                options.compression = ("zlib@openssh.com", "none")
            transport.start_client(timeout=self._left())
            self._check_key(route, known, transport.get_remote_server_key())
            self._authenticate(route, transport)
        except (SSHException, OSError, EOFError) as failure:
            if not transport.remote_version and "imeout" not in str(failure):
                raise TurnedAway from failure
            raise self._said(route, failure) from failure
        return transport

    def _check_key(self, route: Route, known: tuple[Line, ...], key: paramiko.PKey) -> None:
        shown = key.asbytes()
        verdict, where = judge(known, shown)
        named = f"{key.get_name()} {fingerprint(shown)}"
        if verdict is Verdict.UNKNOWN:
            file = next(iter(route.known_hosts), "~/.ssh/known_hosts")
            raise errors.unknown_key(self._place, route.known_as, route.port, named, file)
        if verdict is Verdict.CHANGED:
            raise errors.changed_key(self._place, route.known_as, named, where)
        if verdict is Verdict.REVOKED:
            raise errors.revoked_key(self._place, route.known_as, where)

    def _authenticate(self, route: Route, transport: paramiko.Transport) -> None:
        from paramiko import Agent, AuthenticationException  # noqa: PLC0415  # loaded when an ssh host is used

        tried: list[str] = []
        locked: list[str] = []
        with closing(Agent()) as agent:
            for name, key in _keys(route, agent.get_keys(), locked):
                tried.append(name)
                with suppress(AuthenticationException):
                    if more := transport.auth_publickey(route.user, key):
                        raise errors.more_wanted(self._place, route.at, tuple(more))
                    return
                if not transport.is_active():
                    break  # sshd's MaxAuthTries
        raise errors.refused_login(self._place, route.user, route.at, tuple(tried), tuple(locked))

    def _said(self, route: Route, failure: Exception) -> HostDown:
        text = str(failure)
        if isinstance(failure, TimeoutError) or "Timeout" in text or "timeout" in text:
            return errors.silent(self._place, f"sshd at {route.at}", self._seconds)
        if "Incompatible" in text or "no acceptable" in text:
            return HostDown(
                self._place,
                f"{route.at}: {text}",
                "the host's sshd is too old or too strict for any method both sides know",
            )
        reason = text or "sshd closed the connection"
        return HostDown(self._place, f"{route.at}: {reason}", f"`ssh -v -p {route.port} {route.host}` shows more")


def open_tcp(place: str, host: str, port: int, seconds: float, patience: float) -> socket.socket:
    """Return a socket, connected within `seconds`, that notices when the other end is gone. Raises HostDown.

    `patience` is the host's `timeout`: how long, in seconds, it may take its time.
    """
    try:
        sock = socket.create_connection((host, port), timeout=seconds)
    except OSError as failure:
        raise errors.not_connected(place, host, port, failure, seconds) from failure
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", IDLE), ("TCP_KEEPINTVL", PROBE), ("TCP_USER_TIMEOUT", DEAD * 1000)):
        if option := getattr(socket, name, None):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, option, max(1, round(value * patience)))
    return sock


def open_command(command: str) -> socket.socket:
    """Return a socket to a ProxyCommand, run by a shell as OpenSSH does: it is the user's own config.

    paramiko's own ProxyCommand spins when its command ends, and leaves it unwaited for.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        argv = ["/bin/sh", "-c", f"exec {command}"]
        process = subprocess.Popen(argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL)
    threading.Thread(target=process.wait, daemon=True).start()  # its end is the socket's; this one reaps it
    return ours


def _keys(route: Route, held: tuple[paramiko.PKey, ...], locked: list[str]) -> Iterator[tuple[str, paramiko.PKey]]:
    """Yield what to try, named for humans: given key files, the keys `held` by the agent, then the usual files.

    A file that needs its passphrase is left out and named in `locked`; if the agent holds its key, that one is tried.
    """
    public = {path: _public(path) for path in route.keys}
    for path in route.keys:
        ours = [key for key in held if key.asbytes() == public[path]]
        yield from ((f"{path} in the agent", key) for key in ours)
        if not ours and (key := _load(path, locked)):
            yield path, key
    if route.agent:
        yield from ((f"{key.get_name()} in the agent", key) for key in held if key.asbytes() not in public.values())
    for path in route.more_keys:
        if key := _load(path, locked):
            yield path, key


def _load(path: str, locked: list[str]) -> paramiko.PKey | None:
    from paramiko import PKey, SSHException  # noqa: PLC0415  # loaded when an ssh host is used

    if not Path(path).exists():
        return None
    try:
        return PKey.from_path(path)
    except (TypeError, SSHException, ValueError, OSError):  # TypeError is what cryptography says without a passphrase
        locked.append(path)
        return None


def _public(path: str) -> bytes:
    """Return the public key beside a key file, b"" where there is none."""
    import base64  # noqa: PLC0415  # only with key files

    with suppress(OSError, ValueError, IndexError):
        return base64.b64decode(Path(f"{path}.pub").read_text(encoding="utf-8").split()[1])
    return b""


def _kind(algorithm: str) -> str:
    """Return the kind of key that known_hosts names for a signature algorithm: rsa-sha2-512 signs with ssh-rsa."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm
