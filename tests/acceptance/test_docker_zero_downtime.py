"""Thousands of requests through the addresses of two Docker hosts, while revisions come and one fails: none fails.

INFCTL_TEST_REQUESTS=10000 asks for more of them than the 2,000 of an ordinary run.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.acceptance.test_rack import infctl
from tests.acceptance.test_zero_downtime import Load
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")
REQUESTS = int(os.environ.get("INFCTL_TEST_REQUESTS", "2000"))
GIVEN = ("-var-file", "lab.yaml")


class Rack:
    """The stack `rack`, its addresses open to the network of its hosts, and what differs in it from time to time."""

    def __init__(self, folder: Path, hosts: list[str]) -> None:
        infctl(folder, "init", "-stack", "rack")
        stack = folder / "inference.yaml"
        stack.write_text(stack.read_text().replace("{port: 8000}", "{port: 8000, bind: 0.0.0.0}"))
        self._text = stack.read_text()
        self._values = {"hosts": hosts, "image": "llama:1", "proxy": "haproxy:3.0"}
        self._folder = folder
        self.give()

    def give(self, *, context: int = 1024, image: str = "llama:1") -> None:
        (self._folder / "lab.yaml").write_text(yaml.safe_dump({**self._values, "image": image}))
        (self._folder / "inference.yaml").write_text(self._text.replace("1024", str(context)))

    def apply(self, code: int = 0) -> str:
        return infctl(self._folder, "apply", "-auto-approve", *GIVEN, code=code)

    def urls(self) -> list[str]:
        return list(json.loads(infctl(self._folder, "output", "-json"))["chat.urls"]["value"]["rack"])


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> Iterator[Rack]:
    made = hosts("old", "current", loaded=("llama:1", "haproxy:3.0", "busybox:1"))
    yield Rack(tmp_path, [host.url for host in made])
    infctl(tmp_path, "destroy", "-auto-approve", *GIVEN)


@contextmanager
def asked(urls: list[str]) -> Iterator[list[Load]]:
    """Have clients ask all addresses meanwhile; none of what they asked may fail."""
    loads = [Load(url) for url in urls]
    threads: list[threading.Thread] = [thread for load in loads for thread in load.start()]
    try:
        yield loads
    finally:
        for load in loads:
            load.stopped.set()
        for thread in threads:
            thread.join()
    for load in loads:
        assert not load.failed, (load.url, len(load.failed), len(load.answered), load.failed[:3])


@pytest.mark.timeout(3600)
def test_no_request_fails_while_revisions_come_and_one_of_them_fails(rack: Rack) -> None:
    rack.apply()
    with asked(rack.urls()) as loads:
        rounds = 0
        while rounds < 1 or sum(len(load.answered) for load in loads) < REQUESTS:
            rounds += 1
            began = time.monotonic()
            rack.give(context=1024 + 16 * rounds)
            assert "Downtime: none." in rack.apply()
            rack.give(context=1024 + 16 * rounds, image="busybox:1")  # it has no engine
            assert "chat: back, r" in rack.apply(code=1)
            assert all(load.since(began) > 1 for load in loads), "nobody asked meanwhile"
