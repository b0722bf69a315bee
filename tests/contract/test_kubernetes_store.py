"""Secrets of a real cluster pass the conformance kit that every store passes, and large states are cut to fit."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from infctl.state.remote.documents import DocumentsPlace
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import CHECKS, Check, sample
from infctl_kubernetes.documents import MOST_BYTES, open_documents
from tests.contract.servers import Server
from tests.testbed.kube.cluster import Cluster
from tests.unit.state.words import refused

pytestmark = pytest.mark.xdist_group("kube")


def store_in(cluster: Cluster, namespace: str, workspace: str = "default", lease: float = 60.0) -> RemoteStore:
    config = {"kubeconfig": str(cluster.kubeconfig), "namespace": namespace}
    return RemoteStore(DocumentsPlace(open_documents(config, "prod"), workspace), workspace, Seal(), lease=lease)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_kubernetes_store(check: Check, cluster: Cluster, namespace: str) -> None:
    check(Server(lambda workspace, lease: store_in(cluster, namespace, workspace, lease)))


def test_a_state_larger_than_a_secret_is_kept_in_several(cluster: Cluster, namespace: str) -> None:
    large = replace(sample(), outputs={"noise": os.urandom(2 * MOST_BYTES).hex()})  # compressed, half of it
    with store_in(cluster, namespace).lock("ops", "apply") as lease:
        lease.commit(large)
        found = cluster.get("secrets", "-n", namespace, "-l", "infctl.io/state=prod")["items"]
        names = sorted(re.sub(r"-[0-9a-f]{6}\.", ".", each["metadata"]["name"]) for each in found)
        assert names == [
            "infctl-state-prod.head",
            *(f"infctl-state-prod.history.0000000000-0000000001.json.{number}" for number in range(3)),
        ]
        state = store_in(cluster, namespace).load().state
        assert state is not None
        assert state.outputs == large.outputs


def test_who_may_not_read_secrets_is_told(cluster: Cluster, namespace: str) -> None:
    config = {"kubeconfig": str(cluster.user("state-stranger", "strangers")), "namespace": namespace}
    stranger = RemoteStore(DocumentsPlace(open_documents(config, "prod"), "default"), "default", Seal())
    words = refused(stranger.load)
    assert "state-unreadable" in words
    assert "state-stranger may not get secrets" in words
