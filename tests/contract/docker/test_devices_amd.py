"""Replicas that were promised GPUs of AMD: the nodes they are given, and that who runs in them may open these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infctl.provider.values import Share, Spot
from tests.contract.docker.rack import Rack, template, wish
from tests.testbed.amd import RENDER_GROUP, unique_id
from tests.testbed.hosts import Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> Iterator[Rack]:
    with closing(Rack(tmp_path, hosts(Make("current", gpus="mi300xx2"), loaded=("busybox:1",)))) as made:
        yield made


def test_a_replica_is_given_its_own_node_and_the_groups_that_may_open_it(rack: Rack) -> None:
    (place,) = rack.bench.provider.inventory().value.places
    assert [device.uuid for device in place.devices] == [unique_id(0), unique_id(1)]
    spot = Spot(rack.hosts[0].name, (Share(unique_id(1)),))
    rack.make_replicas(wish(template(gpus=1), spots=(spot,)))  # of an image that has no group of that name
    seen = rack.replica()
    host, container = rack.hosts[0], rack.container(seen)
    assert host.docker("exec", container, "ls", "/dev/dri").split() == ["renderD129"]
    assert str(RENDER_GROUP) in host.docker("exec", container, "id", "-G").split()
    for node in ("/dev/kfd", "/dev/dri/renderD129"):
        host.docker("exec", container, "test", "-r", node, "-a", "-w", node)
