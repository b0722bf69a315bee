"""Owns the hosts of one bed that tests share: a host is started once and handed to one test after the other, clean."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.testbed import images
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make

MOST_HOSTS = 6  # alive at once: each is about 130 MB
AT_ONCE = 8  # hosts that are made ready at the same time
MANY_CONTAINERS = 10
FIRST_ADDRESS = 11


class Pool:
    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self._hosts: list[DockerHost] = []
        bed.closing.append(self.close)

    def take(self, makes: Sequence[Make], loaded: Sequence[str] = ()) -> tuple[DockerHost, ...]:
        """Return one host for each make, on, whole, holding nothing but the images named in `loaded` and older ones."""
        taken: list[DockerHost] = []
        for make in makes:
            equal = [host for host in self._hosts if host.make == make and host not in taken]
            taken.append(equal[0] if equal else self._new(make))
        for idle in [host for host in self._hosts if host not in taken]:
            if len(self._hosts) > MOST_HOSTS:
                self.drop(idle)
        with ThreadPoolExecutor(AT_ONCE) as each:
            list(each.map(lambda host: _ready(host, loaded), taken))
        self.bed.write_ssh({host.name: (host.address, host.make.ssh_port, host.public_key) for host in self._hosts})
        return tuple(taken)

    def _new(self, make: Make) -> DockerHost:
        used = {host.index for host in self._hosts}
        index = next(number for number in range(FIRST_ADDRESS, 250) if number not in used)
        host = DockerHost(self.bed, index, f"h{index - FIRST_ADDRESS + 1}", make)
        self._hosts.append(host)
        return host

    def drop(self, host: DockerHost) -> None:
        """Switch a host off for good: for one that a test left in a state that cleaning does not undo."""
        self._hosts.remove(host)
        host.remove()

    def close(self) -> None:
        for host in self._hosts:
            host.remove()
        self._hosts.clear()


def _ready(host: DockerHost, loaded: Sequence[str]) -> None:
    if not host.on:
        host.up()
    elif not _clean(host):
        host.wipe()
        host.up()
    for name in loaded:
        if not host.docker("image", "inspect", "-f", "{{.Id}}", name, check=False).startswith("sha256:"):
            host.load(images.archive(name))


def _clean(host: DockerHost) -> bool:
    """Return whether a host could be made whole and clean; where there is much on it, a new one is quicker."""
    try:
        host.heal()
        if len(host.docker("ps", "-aq").split()) > MANY_CONTAINERS:
            return False
        host.clean()
    except (AssertionError, subprocess.SubprocessError):
        return False
    return True
