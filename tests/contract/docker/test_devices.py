"""Replicas that were promised devices: what they see, and that nobody else gets it while they stand or are down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Do, Share, Spot
from infctl_docker.kinds import CONTAINER
from infctl_docker.promises import DEVICES, FENCE, FOR, LEASE, LINEAGE, write_shares
from tests.contract.docker.rack import LINEAGE as OURS
from tests.contract.docker.rack import Rack, template, wish
from tests.testbed import gpus
from tests.testbed.hosts import Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

GPU = [gpus.uuid_of(number) for number in range(2)]
GIB = 1024**3


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> Iterator[Rack]:
    made = Rack(tmp_path, hosts(Make("old", gpus="h100x2"), loaded=("busybox:1",)))
    yield made
    made.close()


def on(rack: Rack, *shares: Share, slot: int = 0) -> Deployment:
    return wish(template(gpus=len(shares)), slots=(slot,), spots=(Spot(rack.hosts[0].name, shares),))


def leave(rack: Rack, name: str, run: str = "create", **labels: str) -> None:
    said = [word for key, value in labels.items() for word in ("--label", f"infctl.{key}={value}")]
    rack.hosts[0].docker(run, *(["-d"] if run == "run" else []), "--name", name, *said, "busybox:1", "sleep", "900")


def test_a_replica_sees_the_devices_it_was_promised(rack: Rack) -> None:
    rack.make_replicas(on(rack, Share(GPU[1], 20 * GIB)))
    seen = rack.replica()
    listed = rack.hosts[0].docker("exec", rack.container(seen), "nvidia-smi", "-L")
    assert GPU[1] in listed
    assert GPU[0] not in listed
    assert [tuple(share) for share in seen.values["devices"]] == [(GPU[1], 20 * GIB)]
    assert rack.hosts[0].docker("ps", "-aq", "--filter", "name=infctl-gpu-") == ""


def test_a_device_that_others_took_after_the_plan_is_not_promised_again(rack: Rack) -> None:
    leave(rack, "theirs", id="other", lineage="theirs", devices=write_shares([Share(GPU[0], 70 * GIB)]))
    with pytest.raises(ProviderError, match="was promised to others"):
        rack.make_replicas(on(rack, Share(GPU[0], 20 * GIB)))
    assert [seen for seen in rack.observe() if seen.address.kind == CONTAINER] == []


def test_a_replica_that_is_down_is_started_only_while_its_device_is_nobodys(rack: Rack) -> None:
    made = rack.make_replicas(on(rack, Share(GPU[0])))
    (change,) = [one for address, one in made.items() if address.kind == CONTAINER]
    rack.hosts[0].docker("stop", "-t", "0", rack.container(rack.replica()))
    leave(rack, "theirs", id="other", lineage="theirs", devices=write_shares([Share(GPU[0], GIB)]))
    with pytest.raises(ProviderError, match="was promised to others"):
        rack.bench.do(change)
    rack.hosts[0].docker("rm", "theirs")
    rack.bench.do(change)
    assert rack.replica().running


def test_one_device_is_handed_from_the_old_replica_to_the_new_when_the_old_is_down(rack: Rack) -> None:
    made = rack.make_replicas(on(rack, Share(GPU[0])))
    (old,) = [one for address, one in made.items() if address.kind == CONTAINER]
    with pytest.raises(ProviderError, match="was promised to others"):
        rack.make_replicas(on(rack, Share(GPU[0]), slot=1))
    rack.bench.do(replace(old, do=Do.STOP, after=None))
    rack.make_replicas(on(rack, Share(GPU[0]), slot=1))


def test_what_a_killed_run_of_ours_reserved_is_removed_by_the_next(rack: Rack) -> None:
    left = {FOR: "x", LINEAGE: OURS, FENCE: "0", LEASE: "900", DEVICES: write_shares([Share(GPU[0])])}
    leave(rack, "infctl-gpu-left-0", **{key.removeprefix("infctl."): value for key, value in left.items()})
    rack.make_replicas(on(rack, Share(GPU[1])))
    assert rack.hosts[0].docker("ps", "-aq", "--filter", "name=infctl-gpu-") == ""
