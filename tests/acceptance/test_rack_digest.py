"""An image named by a tag: pinned by digest, still while the tag moves, followed when asked, kept when it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.rack import rack_in
from tests.testbed.plugin import HostsOf
from tests.testbed.registry import Registry

pytestmark = pytest.mark.xdist_group("docker")
TAG = "tools/box:7"


@pytest.mark.timeout(300)
def test_a_tag_that_moves_is_followed_when_asked_and_what_runs_outlives_its_registry(
    hosts: HostsOf, registry: Registry, tmp_path: Path
) -> None:
    made = hosts("old", "current", loaded=("haproxy:3.0",))
    first = registry.push("busybox:1", TAG)
    rack = rack_in(tmp_path, made, image=f"{registry.address}/{TAG}", replicas=2)
    infctl, lock = rack.stack.infctl, tmp_path / "inference.lock.yaml"
    infctl("apply", "-auto-approve")
    assert first in lock.read_text()
    old = rack.replicas()
    assert [len(each) for each in old] == [1, 1]

    second = registry.push("curl:1", TAG)
    assert "No changes." in infctl("plan", "-detailed-exitcode")
    said = infctl("plan", "-upgrade", "-detailed-exitcode", code=2)
    digests = [name.rpartition("sha256:")[2][:7] for name in (first, second)]
    assert f"@sha256:{digests[0]}… → sha256:{digests[1]}…" in said
    assert second in lock.read_text()
    assert "chat r2 serves" in infctl("apply", "-auto-approve")
    new = rack.replicas()
    assert [len(each) for each in new] == [1, 1]
    assert not {one for each in old for one in each} & {one for each in new for one in each}
    for host, (replica,) in zip(made, new, strict=True):
        assert second in host.docker("inspect", "-f", "{{.Config.Image}}", replica)
    assert "No changes." in infctl("plan", "-detailed-exitcode")

    third = registry.push("haproxy:3.0", TAG)
    infctl("plan", "-upgrade", "-detailed-exitcode", code=2)
    registry.forget()
    failed = " ".join(infctl("apply", "-auto-approve", code=1).split())
    assert f"cannot pull {third}" in failed
    assert "the registry no longer has the digest that inference.lock.yaml pins" in failed
    assert "Taken back: r2 serves as before." in failed
    assert rack.replicas() == new
    assert set(rack.answers()) <= {one for each in new for one in each}
    assert rack.revisions() == [2, 2]

    registry.push("haproxy:3.0", TAG)
    assert "serves" in infctl("apply", "-auto-approve")
    assert rack.replicas() != new
    assert "No changes." in infctl("plan", "-detailed-exitcode")
    infctl("destroy", "-auto-approve")
