"""Owns where an ssh:// url leads: what ~/.ssh/config and /etc/ssh/ssh_config make of a host's name, as OpenSSH does.

Opens no connection. The parsing is paramiko's; `Include`, which it does not know, is put in before.
"""

from __future__ import annotations

import getpass
import glob
import os
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import paramiko

DEPTH = 16  # of Include, as OpenSSH has it
DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")  # OpenSSH's, less what needs hardware


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one sshd. `keys` are key files to try first, `more_keys` those that are tried after the agent's.

    `known_as` is the name under which known_hosts has the host; `jumps` are reached one through the other first.
    """

    host: str
    port: int
    user: str
    keys: tuple[str, ...]
    more_keys: tuple[str, ...]
    agent: bool
    known_as: str
    known_hosts: tuple[str, ...]
    jumps: tuple[Route, ...] = ()
    command: str = ""

    @property
    def at(self) -> str:
        return f"{self.host}:{self.port}"


def find_route(url: str, identity_file: str = "") -> Route:
    """Return where `url` (ssh://[USER@]HOST[:PORT]) leads. Raises ValueError when the config cannot be read."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url}: no host is named")
    return _route(_host_of(url), parts.port, parts.username, identity_file, DEPTH)


def _host_of(url: str) -> str:
    """Return the host's name as it was written: `hostname` of urlsplit is in lower case, and aliases are not."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _route(alias: str, port: int | None, user: str | None, identity_file: str, depth: int | None) -> Route:
    found = _config(os.path.expanduser("~")).lookup(alias)  # noqa: PTH111  # a Path would cost its import's laziness
    host = found["hostname"]
    at_port = port or int(found.get("port", 22))
    as_user = user or found.get("user") or getpass.getuser()
    given = (identity_file,) if identity_file else tuple(found.get("identityfile", ()))
    only = bool(identity_file) or found.get("identitiesonly", "no").lower() == "yes"
    name = found.get("hostkeyalias") or (host if at_port == 22 else f"[{host}]:{at_port}")  # noqa: PLR2004
    files = shlex.split(found.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    files += shlex.split(found.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"))
    jump = found.get("proxyjump", "none")
    return Route(
        host,
        at_port,
        as_user,
        keys=tuple(map(_expand, given)),
        more_keys=() if given else tuple(map(_expand, DEFAULT_KEYS)),
        agent=not only,
        known_as=name.lower(),
        known_hosts=tuple(map(_expand, files)),
        jumps=() if depth is None or jump.lower() == "none" else _jumps(jump, depth - 1),
        command="" if jump.lower() != "none" else found.get("proxycommand") or "",
    )


def _jumps(chain: str, depth: int) -> tuple[Route, ...]:
    """Return the hosts of a ProxyJump in the order they are gone through, with the jumps of the first one itself."""
    if not depth:
        raise ValueError(f"ProxyJump {chain} leads in a circle")
    routes: list[Route] = []
    for each in chain.split(","):
        url = each.strip() if "://" in each else f"ssh://{each.strip()}"
        parts = urlsplit(url)
        own = None if routes else depth  # the ProxyJump of a host behind the first does not count, as with ssh -J
        routes.append(_route(_host_of(url), parts.port, parts.username, "", own))
    return (*routes[0].jumps, *routes)


def _config(home: str) -> paramiko.SSHConfig:
    lines = [*_read(f"{home}/.ssh/config", f"{home}/.ssh", DEPTH), "Host *"]
    return _parse("\n".join([*lines, *_read("/etc/ssh/ssh_config", "/etc/ssh", DEPTH)]))


@cache  # many hosts, one config
def _parse(text: str) -> paramiko.SSHConfig:
    from paramiko import ConfigParseError, SSHConfig  # noqa: PLC0415  # costs more than a plan without hosts may

    try:
        return SSHConfig.from_text(text)
    except ConfigParseError as wrong:
        raise ValueError(f"~/.ssh/config: {wrong}") from wrong


def _read(path: str, base: str, depth: int) -> list[str]:
    """Return a config's lines with those it includes; after each include the section it stands in goes on."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    read: list[str] = []
    section = "Host *"
    for line in lines:
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() in {"host", "match"}:
            section = line
        if word.lower() != "include" or not depth:
            read.append(line)
            continue
        for pattern in shlex.split(rest):
            for file in sorted(glob.glob(_expand(pattern, base))):  # noqa: PTH207  # patterns may be absolute
                read += [*_read(file, base, depth - 1), section]
    return read


def _expand(path: str, base: str = "") -> str:
    return os.path.join(base, os.path.expanduser(path))  # noqa: PTH111, PTH118  # text in, text out
