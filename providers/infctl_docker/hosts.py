"""Owns a Docker host as the rest of this provider sees it, and a fleet of them asked side by side.

Knows how a host is named in the file; how bytes get there is in `ssh` and `sockets`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from infctl.diagnostics import did_you_mean
from infctl.provider.protocol import unheard
from infctl_docker.errors import DaemonError, HostDown, PortClosed, Silent
from infctl_docker.pipeline import Answer, ask
from infctl_docker.sockets import Tcp, Unix, tls_context
from infctl_docker.streams import READ, Ran, Stream, Way

if TYPE_CHECKING:
    from infctl_docker.client import Api

T = TypeVar("T")
SCHEMES = ("ssh", "unix", "tcp")
LOCAL_SOCKET = "/var/run/docker.sock"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PLAIN_PORT, TLS_PORT = 2375, 2376  # registered for Docker at IANA


class HostConfig(BaseModel):
    """One of a target's `hosts`: a url, or a mapping that says more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="ssh://[user@]host[:port], unix:///path or tcp://host:port")
    name: str = Field("", description="what the host is called in plans and addresses; default: the url's host name")
    address: str = Field("", description="what the other hosts reach it by; default: the url's host name")
    identity_file: str = Field("", description="private key for ssh://, the only one to be tried")
    tls: str = Field("", description="folder with ca.pem, cert.pem and key.pem for tcp://; default: $DOCKER_CERT_PATH")
    insecure: bool = Field(False, description="tcp:// without TLS: whoever reaches that port is root on the host")
    shell: bool = Field(True, description="whether a unix:// socket's host is this machine")
    timeout: float = Field(
        10, gt=0, le=600, description="seconds that connecting may take; a silent link has 2.5 times as long"
    )
    zone: str = Field("", description="what fails together with it, as a rack or a room; for placement.spread: zone")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"url": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _whole(self) -> HostConfig:
        parts = split(self.url)
        if parts.scheme != "ssh" and self.identity_file:
            raise ValueError("identity_file is for ssh:// hosts")
        if parts.scheme != "tcp" and (self.tls or self.insecure):
            raise ValueError("tls and insecure are for tcp:// hosts")
        if self.tls and self.insecure:
            raise ValueError("a host has either tls or insecure")
        if not self.name:
            object.__setattr__(self, "name", parts.hostname or "local")
        if not self.address:
            object.__setattr__(self, "address", parts.hostname or "127.0.0.1")
        return self


def split(url: str) -> SplitResult:
    """Return the parts of a host's url. Raises ValueError saying what a url must look like."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"{url!r} has no scheme: did you mean ssh://{url}?")
    if scheme not in SCHEMES:
        raise ValueError(f"{scheme}:// is not a way to a Docker host; {did_you_mean(scheme, SCHEMES) or 'use ssh://'}")
    parts = urlsplit(url)
    if scheme == "unix":
        if not rest.startswith("/"):
            raise ValueError("a unix:// url is unix:// and an absolute path, as unix:///var/run/docker.sock")
        return parts
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    if parts.password:
        raise ValueError("a password does not belong in a url: use a key, or the ssh agent")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"nothing may follow host and port in {scheme}:// urls")
    _ = parts.port  # raises ValueError unless it is a port
    return parts


class Host:
    """One host, reached when it is first asked. Thread-safe; raises HostDown, DaemonError or ProviderError only."""

    def __init__(self, config: HostConfig, root: Path = Path(), looking: Callable[[str, str], None] = unheard) -> None:
        self.config = config
        self.name = config.name
        self.address = config.address
        self.zone = config.zone
        self._root = root
        self._lock = threading.RLock()
        self._apis = threading.local()
        self._found: Way | None = None
        self._looking = looking
        self._phase = ""

    @property
    def has_shell(self) -> bool:
        return self.config.url.startswith("ssh://") or (self.config.url.startswith("unix://") and self.config.shell)

    def read(self, paths: Sequence[str], timeout: float = READ) -> tuple[Answer, ...]:
        """GET paths (as /containers/json, without a version: the daemon's own), pipelined, in order.

        `timeout` is in seconds without a byte. A connection that breaks is made anew once; GETs can be repeated.
        """
        answers: list[Answer] = []
        again = True
        while len(answers) < len(paths):
            self._look("connect")
            stream, used = self._way.take()
            self._look("read")
            stream.settimeout(timeout)
            asked = ask(stream, paths[len(answers) :])
            answers += asked.answers
            if asked.whole:
                self._way.give(stream)
                break
            stream.close()
            if not asked.answers:
                if isinstance(asked.why, Silent) or not (used and again):
                    raise asked.why or HostDown(self.name, "the Docker daemon closed the connection")
                again = False
        return tuple(answers)

    def _look(self, phase: str) -> None:
        """Tell who follows a reading how far it is, each phase once: a link that stands is not made again."""
        before, self._phase = self._phase, max(self._phase, phase)  # "" < "connect" < "read"
        if self._phase != before:
            self._looking(self.name, phase)

    def seen(self) -> None:
        """Tell who follows a reading that it is over."""
        self._looking(self.name, "")

    def ask(self, path: str, timeout: float = READ) -> Any:
        """Return the value of one GET. Raises DaemonError when the daemon says no."""
        answer = self.read((path,), timeout)[0]
        if answer.status >= 400:  # noqa: PLR2004
            raise DaemonError(self.name, answer.status, _message(answer))
        return answer.json()

    @cached_property
    def api_version(self) -> str:
        """The version of the API that both sides speak."""
        from infctl_docker.client import agree  # noqa: PLC0415  # docker-py costs more than a plan may

        told = self.ask("/version")
        return agree(self.name, told.get("ApiVersion", "1.0"), told.get("MinAPIVersion", ""))

    @property
    def api(self) -> Api:
        """docker-py's client, for changes and streams: of its threads each has its own, as requests wants it."""
        return self._api("api", packed=True)

    @property
    def bulk(self) -> Api:
        """The same for what carries files: over a connection that is not compressed (see `sessions.Connection`)."""
        return self._api("bulk", packed=False)

    def _api(self, name: str, *, packed: bool) -> Api:
        from infctl_docker.client import Api  # noqa: PLC0415  # docker-py costs more than a plan may

        made: Api | None = getattr(self._apis, name, None)
        if made is None:
            made = Api(self._way, self.api_version, READ, packed=packed)
            setattr(self._apis, name, made)
        return made

    def run(self, argv: Sequence[str], timeout: float = READ, feed: BinaryIO | None = None) -> Ran:
        """Run a command on the host; what `feed` reads is its input. Raises ProviderError where there is no shell."""
        return self._way.run(argv, timeout, feed)

    def dial(self, port: int) -> Stream:
        """Return a stream to 127.0.0.1:`port` of the host; http.client takes it for a socket.

        Raises PortClosed, which is a ConnectionRefusedError too, when nobody listens there.
        """
        if self.has_shell:
            try:
                return self._way.dial(port)
            except PortClosed as closed:
                if not closed.forbidden:
                    raise
        from infctl_docker.detour import dial_through  # noqa: PLC0415  # docker-py costs more than a plan may

        return dial_through(self, port)

    def close(self) -> None:
        with self._lock:
            if self._found:
                self._found.close()

    @property
    def _way(self) -> Way:
        with self._lock:
            self._found = self._found or self._find_way()
            return self._found

    def _find_way(self) -> Way:
        parts, config = split(self.config.url), self.config
        if parts.scheme == "unix":
            return Unix(self.name, parts.path, config.timeout, has_shell=config.shell)
        host = parts.hostname or ""
        if parts.scheme == "tcp":
            folder = config.tls or os.environ.get("DOCKER_CERT_PATH", "")
            if config.insecure or (host in LOOPBACK and not config.tls):
                return Tcp(self.name, host, parts.port or PLAIN_PORT, config.timeout, None)
            if not folder:
                raise HostDown(
                    self.name,
                    "tcp:// without TLS lets everybody on the network be root on that host",
                    "give `tls:` a folder of ca.pem, cert.pem and key.pem, or say `insecure: true`; ssh:// needs none",
                )
            where = Path(self._file(folder))
            return Tcp(self.name, host, parts.port or TLS_PORT, config.timeout, lambda: tls_context(self.name, where))
        from infctl_docker.ssh import Ssh  # noqa: PLC0415  # paramiko costs more than a plan without hosts may
        from infctl_docker.ssh_config import find_route  # noqa: PLC0415

        try:
            route = find_route(config.url, self._file(config.identity_file))
        except ValueError as wrong:
            raise HostDown(self.name, str(wrong), "mend ~/.ssh/config") from wrong
        return Ssh(self.name, route, config.timeout)

    def _file(self, path: str) -> str:
        return str(self._root / Path(path).expanduser()) if path else ""


class Fleet:
    """The hosts of a target."""

    def __init__(self, hosts: tuple[Host, ...]) -> None:
        self.hosts = hosts
        self._named = {host.name: host for host in hosts}
        self._down: dict[str, HostDown] = {}

    def __getitem__(self, name: str) -> Host:
        return self._named[name]

    def each(self, do: Callable[[Host], T]) -> dict[str, T | HostDown]:
        """Do something on all hosts side by side. A host that was down is not asked again in this process's run.

        Raises what else went wrong, once all are through.
        """
        found: dict[str, T | HostDown] = {host.name: HostDown(host.name, "not asked") for host in self.hosts}
        wrong: list[Exception] = []

        def work(host: Host) -> None:
            try:
                found[host.name] = self._down.get(host.name) or do(host)
            except HostDown as down:
                found[host.name] = self._down[host.name] = down
            except Exception as failure:  # noqa: BLE001  # raised below, in the caller's thread
                wrong.append(failure)

        threads = [threading.Thread(target=work, args=(host,), daemon=True) for host in self.hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        return found

    def close(self) -> None:
        for host in self.hosts:
            host.close()


def _message(answer: Answer) -> str:
    try:
        said: Mapping[str, str] = answer.json()
        return str(said["message"])
    except (ValueError, KeyError, TypeError):
        return answer.body.decode(errors="replace").strip()
