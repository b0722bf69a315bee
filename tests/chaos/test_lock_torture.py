"""Eight processes fight for one lock while holders are stopped past their lease and killed: no old token writes.

INFCTL_TEST_ROUNDS is how often each process commits, on average; `tox -e soak` does 200 on every backend.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infctl.ops.stores import remember
from infctl.spec.stack import StateConfig
from tests.chaos.arena import PROCESSES, fight, judge
from tests.testbed.buckets import Bucket, environment
from tests.testbed.kube.cluster import Cluster
from tests.testbed.postgres import Database
from tests.testbed.state_server import USER, StateServer

ROUNDS = int(os.environ.get("INFCTL_TEST_ROUNDS", "0"))
FEW = 1  # rounds in a fight with servers, where nobody asks for more: the machine has better to do
SECONDS, LEASE = 8.0, 0.3
LONG_LEASE = 0.6  # seconds: requests take their time, and so do eight processes that load what speaks to a server
STRIKES = (0.4, 1.2)  # seconds apart
KEY = "torture"
LATE = frozenset({"refused state-unwritable", "refused state-unreadable"})  # stopped within a request

pytestmark = pytest.mark.timeout(120 + 60 * ROUNDS)


def enough() -> Callable[[list[str]], bool]:
    """Return what tells that a fight was long enough."""
    until = time.monotonic() + SECONDS
    if not ROUNDS:
        return lambda _lines: time.monotonic() > until
    return rounds(ROUNDS)


def rounds(each: int) -> Callable[[list[str]], bool]:
    return lambda lines: sum(line.endswith(":commit") for line in lines) >= each * PROCESSES and late(lines)


def late(lines: list[str]) -> bool:
    return "refused lease-lost" in lines


@pytest.mark.parametrize("seed", [1])
def test_no_write_with_an_old_token_is_accepted(tmp_path: Path, seed: int) -> None:
    chain, lines = fight(tmp_path, seed, LEASE, enough())
    judge(chain, lines)
    assert sum(not line.startswith("refused") for line in lines) > 20, "it was a fight"


def fight_over(root: Path, config: StateConfig) -> None:
    remember(root, config)
    judge(*fight(root, 1, LONG_LEASE, rounds(ROUNDS or FEW), STRIKES), LATE)


@pytest.mark.xdist_group("buckets")
def test_a_bucket_takes_no_write_with_an_old_token(tmp_path: Path, versity_bucket: Bucket) -> None:
    server = versity_bucket.server
    with environment(server.env):
        fight_over(tmp_path, StateConfig("s3", {"bucket": versity_bucket.name, "key": KEY, "endpoint": server.url}))


@pytest.mark.xdist_group("postgres")
def test_a_table_takes_no_write_with_an_old_token(tmp_path: Path, database: Database) -> None:
    with environment({"PGPASSWORD": database.password}):
        fight_over(tmp_path, StateConfig("postgres", {"url": database.url, "key": KEY}))


def test_a_server_of_terraforms_protocol_takes_no_write_with_an_old_token(
    tmp_path: Path, http_server: StateServer
) -> None:
    password = {"env": "SERVER_PASSWORD"}
    options = {"address": http_server.address, "username": USER, "password": "secret://server"}
    with environment({"SERVER_PASSWORD": http_server.password}):
        fight_over(tmp_path, StateConfig("http", options, {}, {"server": password}))


@pytest.mark.xdist_group("kube")
def test_secrets_of_a_cluster_take_no_write_with_an_old_token(tmp_path: Path, cluster: Cluster, namespace: str) -> None:
    where = {"kubeconfig": str(cluster.kubeconfig), "namespace": namespace, "key": KEY}
    fight_over(tmp_path, StateConfig("kubernetes", where))
