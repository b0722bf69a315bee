"""Processes of which nothing is left when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infctl_local.process import list_run_dirs, stop
from infctl_local.relay_client import RelayClient
from tests.unit.local.backends import Answering
from tests.unit.local.relays import run_relay


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "run"
    root.mkdir(mode=0o700)
    yield root
    for run in list_run_dirs(root):
        stop(run.path, 0.5)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    run_dir = tmp_path_factory.mktemp("shared") / "relay"
    run_relay(run_dir)
    yield run_dir
    stop(run_dir, 5)


@pytest.fixture
def relay(shared: Path) -> Iterator[RelayClient]:
    client = RelayClient(shared)
    yield client
    for route in client.status().routes:
        client.delete_route(route.model)


@pytest.fixture
def start() -> Iterator[Callable[[str], Answering]]:
    started: list[Answering] = []

    def start_one(name: str) -> Answering:
        started.append(Answering(name))
        return started[-1]

    yield start_one
    for server in started:
        server.end()
