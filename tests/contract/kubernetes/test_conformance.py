"""The kubernetes target passes what every provider must, on a real control plane whose nodes are played."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.provider.protocol import Provider
from infctl.provider.testkit import CHECKS, Check
from infctl.provider.values import Deployment
from infctl.secrets import SecretRef
from tests.contract.kubernetes.played import CRASHING, context_in, provider_of, serving
from tests.testbed.kube.plane import BedCluster

pytestmark = pytest.mark.xdist_group("kube")


class ClusterHarness:
    """A namespace of a cluster, and engines that answer for all its pods."""

    ready_timeout = 30.0

    def __init__(self, plane: BedCluster, namespace: str, root: Path) -> None:
        self._plane, self._namespace = plane, namespace
        self.context = context_in(root)

    def provider(self) -> Provider:
        return provider_of(self._plane, self.context, namespace=self._namespace)

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        return serving(revision, replicas, env=env)

    def doomed(self, revision: int) -> Deployment | None:
        wish = serving(revision)
        return replace(wish, template=replace(wish.template, image=CRASHING))

    def add_stranger(self) -> bool:
        labels = {"app.kubernetes.io/managed-by": "infctl", "infctl.io/stack": self.context.stack}
        port = {"port": 80, "protocol": "TCP"}
        self._plane.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "others", "namespace": self._namespace, "labels": labels},
                "spec": {"selector": {"app": "others"}, "ports": [port]},
            }
        )
        return True

    def break_place(self) -> int:
        found = int(self._plane.kubectl("get", "deploy,svc,sa,pdb", "-n", self._namespace, "-o", "name",
                                        "-l", "infctl.io/id").count("\n"))  # fmt: skip
        self._plane.crash("apiserver")
        return found

    def mend_place(self) -> None:
        self._plane.start()

    def close(self) -> None:
        self._plane.start()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_kubernetes_target_conforms(check: Check, plane: BedCluster, namespace: str, tmp_path: Path) -> None:
    with closing(ClusterHarness(plane, namespace, tmp_path)) as harness:
        check(harness)
