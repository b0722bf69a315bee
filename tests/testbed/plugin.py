"""The bed's fixtures for pytest: `hosts` hands out real Docker hosts; everything ends with the run, killed or not.

Tests that use them carry `pytest.mark.xdist_group("docker")`, so that one worker runs them all and its hosts are
started once.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.needs import need, need_root
from tests.testbed import packages
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.hub import Hub
from tests.testbed.pool import Pool
from tests.testbed.registry import Registry

HostsOf = Callable[..., tuple[DockerHost, ...]]


def need_testbed() -> None:
    """Skip the test where this machine cannot have hosts: they need root, Debian's packages, and namespaces."""
    need_root()
    need(_may_unshare(), "the right to make namespaces and mounts (CAP_SYS_ADMIN)")
    lacking = packages.missing_here()
    need(not lacking, f"Debian's packages {', '.join(lacking)} (scripts/test.py as root installs them)")
    unfetched = [part for part in packages.NEWER if not packages.unpacked(part)]
    need(not unfetched, f".cache/testbed/ with {', '.join(unfetched)} (scripts/test.py as root fetches them)")


@cache
def _may_unshare() -> bool:
    tried = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def pytest_report_header() -> str:
    versions = {part: packages.version_of(part) for part in packages.NEWER}
    return "testbed: " + ", ".join(f"{part} {version or 'not fetched'}" for part, version in versions.items())


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """One test bed for this worker: network, SSH home (`bed.home` is what HOME is set to), registry's address."""
    need_testbed()
    made = Bed()
    yield made
    made.close()


@pytest.fixture(scope="session")
def pool(bed: Bed) -> Pool:
    return Pool(bed)


@pytest.fixture(scope="session")
def registry(bed: Bed) -> Registry:
    """A registry at `bed.address`:5000 that every host of the bed trusts; `push` fills it."""
    return Registry(bed)


@pytest.fixture(scope="session")
def private_registry(bed: Bed) -> Registry:
    """The same at port 5001, for those who log in as reader with "open sesame"."""
    return Registry(bed, 5001, ("reader", "open sesame"))


@pytest.fixture(scope="session")
def _hub(bed: Bed) -> Hub:
    return Hub(bed)


@pytest.fixture
def hub(_hub: Hub) -> Hub:
    """A Hugging Face Hub at `bed.address`:5002, empty and well."""
    _hub.well()
    return _hub


@pytest.fixture
def hosts(bed: Bed, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> HostsOf:
    """Return `take(*makes, loaded=("busybox:1",))`: clean hosts, one for each make; HOME is the bed's from then on.

    A make is a `Make`, or "current" or "old" for short.
    """
    monkeypatch.setenv("HOME", str(bed.home))

    def take(*makes: Make | str, loaded: tuple[str, ...] = ("busybox:1",)) -> tuple[DockerHost, ...]:
        return pool.take([Make(make) if isinstance(make, str) else make for make in makes], loaded)

    return take
