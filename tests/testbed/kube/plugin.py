"""The fixtures of Kubernetes: `cluster` hands out a real one; it ends with the run, killed or not.

Tests that use them carry `pytest.mark.xdist_group("kube")`, so that one worker runs them all and starts one cluster.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.needs import need
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.kube import parts
from tests.testbed.kube.cluster import Cluster
from tests.testbed.kube.keda import start_keda
from tests.testbed.kube.node import NUMBER, Node
from tests.testbed.kube.plane import BedCluster
from tests.testbed.kube.prometheus import Prometheus

GIVEN = "INFCTL_TEST_KUBECONFIG"  # a cluster to use instead of the bed's own; its user may do everything


def pytest_report_header() -> str:
    module = {"kubebed": "k8s.io/kubernetes", "keda": "github.com/kedacore/keda/v2"}
    told = (f"{part} {parts.version_of(part, module[part]) if parts.folder(part) else 'not built'}" for part in module)
    return f"kubernetes: {', '.join(told)}"


def need_built(part: str) -> None:
    """Skip the test unless a part of Kubernetes was built."""
    if not parts.folder(part):
        lacks = parts.missing_here()
        need(False, f"Kubernetes' {part} (python -m tests.testbed.kube.parts builds it{lacks and f', with {lacks}'})")


@pytest.fixture(scope="session")
def _plane(request: pytest.FixtureRequest) -> BedCluster:
    need_built("kubebed")
    return BedCluster(request.getfixturevalue("bed"))


@pytest.fixture
def plane(_plane: BedCluster) -> BedCluster:
    """The bed's own cluster, well, with the standard nodes: for tests that hurt it or want GPUs or users of it."""
    _plane.well()
    return _plane


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster: that of INFCTL_TEST_KUBECONFIG, else the bed's."""
    if given := os.environ.get(GIVEN):
        built = parts.folder("kubebed")
        kubectl = [str(built / "kubebed"), "kubectl"] if built else ["kubectl"]
        need(bool(built or shutil.which("kubectl")), "kubectl")
        return Cluster(Path(given), tmp_path_factory.mktemp("kube"), kubectl)
    plane: BedCluster = request.getfixturevalue("plane")
    return plane


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own; its deletion is not waited for."""
    name = f"t-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false", check=False)


@pytest.fixture(scope="session")
def _node(_plane: BedCluster) -> Node:
    return Node(_plane, DockerHost(_plane.bed, NUMBER, "node-1", Make("current")))


@pytest.fixture
def node(plane: BedCluster, _node: Node) -> Node:
    """A real node of the bed's cluster, up; what runs on it is what tests left."""
    _node.up()
    return _node


@pytest.fixture
def keda(plane: BedCluster) -> BedCluster:
    """The bed's cluster with KEDA in it, whose operator reads metrics from this machine."""
    need_built("keda")
    start_keda(plane)
    return plane


@pytest.fixture(scope="session")
def prometheus(bed: Bed) -> Prometheus:
    """A Prometheus at `bed.address`:9090."""
    return Prometheus(bed)
