"""The daemon's own look at a replica: it must agree with ours, and cost next to nothing while an engine loads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.contract.docker.rack import IMAGES, Rack, template, wish
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture(params=["old", "current"])
def rack(hosts: HostsOf, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rack]:
    with closing(Rack(tmp_path, hosts(request.param, loaded=IMAGES))) as made:
        yield made


def test_the_daemon_finds_well_what_answers_and_ill_what_does_not(rack: Rack) -> None:
    rack.make_replicas(wish(template()))
    host, container = rack.hosts[0], rack.container(rack.replica())
    check = json.loads(host.docker("inspect", "-f", "{{json .Config.Healthcheck}}", container))
    asked = check["Test"][1:]
    if host.make.docker == "current":  # 20.10 knows no other
        assert check["StartInterval"] == check["Interval"]
    host.docker("exec", container, *asked)
    host.docker("exec", container, "rm", "/www/health")
    with pytest.raises(AssertionError, match="404"):
        host.docker("exec", container, *asked)
