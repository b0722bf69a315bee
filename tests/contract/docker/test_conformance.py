"""The docker target passes what every provider must, on hosts with an old and a current Docker."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from infctl.provider.testkit import CHECKS, Check
from tests.contract.docker.rack import IMAGES, Rack
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_docker_target_conforms(check: Check, hosts: HostsOf, tmp_path: Path) -> None:
    with closing(Rack(tmp_path, hosts("old", "current", loaded=IMAGES))) as rack:
        check(rack)
