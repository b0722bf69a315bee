"""What goes wrong on Docker hosts, told in words that name the host and the way on; and what goes right afterwards."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.address import Address
from infctl.diagnostics import Diagnostic
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Deployment, Do, Known, Scope
from infctl_docker.errors import HostDown
from infctl_docker.kinds import CONTAINER
from tests.contract.docker.rack import IMAGES, LINEAGE, Rack, template, wish
from tests.testbed.hosts import Make
from tests.testbed.plugin import HostsOf
from tests.testbed.registry import Registry

pytestmark = pytest.mark.xdist_group("docker")


@pytest.fixture(params=["old", "current"])
def rack(hosts: HostsOf, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rack]:
    with closing(Rack(tmp_path, hosts(request.param, loaded=IMAGES))) as made:
        yield made


def made_of(rack: Rack, wanted: Deployment) -> Change:
    """Return the change that makes the one replica of `wanted`, its network standing."""
    rack.make_replicas(replace(wanted, slots=(), spots=()))
    (want,) = [one for one in rack.bench.lower(wanted) if one.address.kind == CONTAINER]
    return rack.bench.change(Do.CREATE, want)


def refused(rack: Rack, wanted: Deployment) -> Diagnostic:
    change = made_of(rack, wanted)
    with pytest.raises(ProviderError) as failed:
        rack.provider().apply(change, rack.bench.heard.append)
    return failed.value.diagnostics[0]


def test_an_image_that_no_registry_has(rack: Rack, registry: Registry) -> None:
    pinned = registry.push("busybox:1", "gone/tool:1")
    other = pinned[:-4] + "0000"
    said = refused(rack, wish(template(image=other)))
    assert said.summary == f"{rack.hosts[0].name} cannot pull {other}"
    assert "plan -upgrade" in said.hint
    registry.stop()
    try:
        said = refused(rack, wish(template(image=f"{registry.address}/never/seen@sha256:{'0' * 64}")))
        assert "refused" in said.detail
    finally:
        registry.start()


def test_a_stranger_s_container_with_our_name(rack: Rack) -> None:
    change = made_of(rack, wish(template()))
    rack.hosts[0].docker("run", "-d", "--name", change.name, "busybox:1", "sleep", "900")
    said = refused(rack, wish(template()))
    assert said.summary == f"{rack.hosts[0].name} has a container {change.name} already"
    assert "infctl did not make it; its image is busybox:1" in said.detail
    assert f"docker rename {change.name}" in said.hint
    rack.hosts[0].docker("rename", change.name, "others")
    assert rack.bench.do(change)
    assert rack.bench.wait(rack.replica()).ready


def test_a_taken_port_is_passed_over(rack: Rack) -> None:
    change = made_of(rack, wish(template()))
    (seen,) = [rack.bench.do(change)]
    assert seen
    port = str(seen.outputs["endpoint"]).rpartition(":")[2]
    gone = replace(change, do=Do.DELETE, after=None)
    rack.bench.do(gone)
    rack.hosts[0].docker("run", "-d", "--name", "squatter", "-p", f"127.0.0.1:{port}:80", "busybox:1", "sleep", "900")
    again = rack.bench.do(change)
    assert again
    assert again.outputs["endpoint"] != seen.outputs["endpoint"]
    assert rack.bench.wait(again).ready
    assert len([one for one in rack.observe() if one.address.kind == CONTAINER]) == 1

    rack.bench.do(replace(change, do=Do.STOP, after=None))
    port = str(again.outputs["endpoint"]).rpartition(":")[2]
    rack.hosts[0].docker("run", "-d", "--name", "squatter2", "-p", f"127.0.0.1:{port}:80", "busybox:1", "sleep", "900")
    with pytest.raises(ProviderError, match=f"Port {port} of .* is taken") as failed:
        rack.bench.do(change)
    assert "ss -ltnp" in failed.value.diagnostics[0].hint


def test_an_engine_that_ran_out_of_memory_is_said_to_have(rack: Rack) -> None:
    eat = "echo loading; exec tail /dev/zero"
    rack.bench.do(made_of(rack, wish(template(command=("sh", "-c", eat), memory=20_000_000))))
    health = rack.bench.wait(rack.replica())
    assert health.dead
    assert health.detail.startswith("it was killed because it ran out of memory (its limit is 64 MiB)")
    assert health.log == ("loading",) or "loading" in health.log


def test_an_engine_that_ends_says_with_what(rack: Rack) -> None:
    end = "echo fine so far; echo error: no such model >&2; sleep 0.1; exit 3"
    rack.bench.do(made_of(rack, wish(template(command=("sh", "-c", end)))))
    health = rack.bench.wait(rack.replica())
    assert (health.ready, health.dead) == (False, True)
    assert "it ended with exit code 3, after" in health.detail
    assert health.log == ("error: no such model",)


def test_a_command_that_the_image_lacks(rack: Rack) -> None:
    rack.bench.do(made_of(rack, wish(template(command=("no-such-engine",)))))
    health = rack.bench.wait(rack.replica())
    assert health.dead
    assert "exec no-such-engine failed: No such file or directory" in health.log[-1]


def test_a_container_that_was_killed_between_create_and_start_is_finished(rack: Rack) -> None:
    change = made_of(rack, wish(template()))
    first = rack.bench.do(change)
    assert first
    host, ident = rack.hosts[0], rack.container(first)
    doc = json.loads(host.docker("inspect", ident))[0]
    host.docker("rm", "-f", ident)
    labels = [word for name, value in doc["Config"]["Labels"].items() for word in ("--label", f"{name}={value}")]
    host.docker("create", "--name", change.name, *labels, "busybox:1", "sleep", "900")
    seen = rack.bench.do(change)
    assert seen
    assert seen.running
    assert len([one for one in rack.observe() if one.address.kind == CONTAINER]) == 1


def test_a_power_cut_loses_no_replica(rack: Rack) -> None:
    rack.bench.do(made_of(rack, wish(template())))
    before = rack.replica()
    rack.hosts[0].crash()
    reading = rack.provider().observe(Scope(LINEAGE, "test", "default"))
    assert [one.place for one in reading.unreadable] == [rack.hosts[0].name]
    rack.hosts[0].up()
    rack.bench.provider = rack.provider()
    after = rack.replica()
    assert (after.id, after.outputs, after.values) == (before.id, before.outputs, before.values)
    assert rack.bench.wait(after).ready  # "unless-stopped": its daemon started it again


def test_a_host_that_goes_down_in_the_middle_is_named(hosts: HostsOf, tmp_path: Path) -> None:
    with closing(Rack(tmp_path, hosts("current", loaded=IMAGES))) as rack:
        change = made_of(rack, wish(template()))
        rack.hosts[0].crash()
        with pytest.raises(HostDown) as failed:
            rack.provider().apply(change, rack.bench.heard.append)
        assert failed.value.place == rack.hosts[0].name
        rack.hosts[0].up()
        assert rack.provider().apply(change, rack.bench.heard.append)


def test_a_full_disk_is_said(hosts: HostsOf, registry: Registry, tmp_path: Path) -> None:
    image = registry.push("llama:1")
    (small,) = hosts(Make("current", disk_mb=64), loaded=("busybox:1",))
    with closing(Rack(tmp_path, (small,))) as rack:
        said = refused(rack, wish(template(image=image)))
        assert "no space left" in said.detail
        assert "docker system df" in said.hint


def test_a_model_file_that_is_gone(rack: Rack) -> None:
    said = refused(rack, wish(template(model_uri="file:none.gguf")))
    assert "none.gguf is not there" in said.summary


def test_a_running_container_of_a_stranger_can_be_taken_in(rack: Rack) -> None:
    host = rack.hosts[0]
    ident = host.docker(
        "run",
        "-d",
        "--stop-signal",
        "KILL",
        "--name",
        "by-hand",
        "-p",
        "127.0.0.1:21999:80",
        "busybox:1",
        "sleep",
        "900",
    ).strip()
    address = Address(CONTAINER, "tiny", "rack/0")
    for name in ("by-hand", ident, ident[:12]):
        reading = rack.provider().observe(Scope(LINEAGE, "test", "default", (Known(address, name, name, {}),)))
        (seen,) = reading.value
        assert (seen.address, seen.name, seen.labels, seen.running) == (address, "by-hand", None, True)
        assert seen.outputs["endpoint"] == f"{host.name}:21999"
        assert name in {seen.id, seen.name}
        known = Known(address, seen.id, seen.name, seen.outputs)
        assert rack.provider().observe(Scope(LINEAGE, "test", "default", (known,))).value == (seen,)
    change = replace(made_of(rack, wish(template())), do=Do.DELETE, after=None, before=known)
    labels = replace(change.labels, id=seen.id)
    assert rack.provider().apply(replace(change, labels=labels), rack.bench.heard.append) is None
    assert host.docker("ps", "-aq") == ""


def test_a_target_whose_host_was_taken_out_of_the_file_says_so(rack: Rack) -> None:
    change = made_of(rack, wish(template()))
    with pytest.raises(ProviderError, match="is on h9, which is no host of target rack"):
        rack.provider().apply(replace(change, after={**(change.after or {}), "host": "h9"}), rack.bench.heard.append)


def test_nothing_listens_where_nobody_published_it(rack: Rack) -> None:
    rack.bench.do(made_of(rack, wish(template())))
    port = int(str(rack.replica().outputs["endpoint"]).rpartition(":")[2])
    with pytest.raises(OSError), socket.create_connection((rack.hosts[0].address, port), 2):  # noqa: PT011
        pass


def test_doctor_looks_at_every_host_and_names_the_one_that_is_down(hosts: HostsOf, tmp_path: Path) -> None:
    with closing(Rack(tmp_path, hosts("old", "current", loaded=()))) as rack:
        assert all(one.ok for one in rack.provider().check())
        rack.hosts[1].crash()
        wrong = [one for one in rack.provider().check() if not one.ok]
        assert [one.what for one in wrong] == [rack.hosts[1].name]
        assert wrong[0].detail
        assert wrong[0].hint
        rack.hosts[1].up()


def test_a_replica_of_a_host_that_left_the_file_is_told_not_lost(rack: Rack) -> None:
    rack.bench.do(made_of(rack, wish(template())))
    seen = replace(rack.replica(), place="h9")
    assert "which is no host of target rack" in rack.provider().probe(seen).detail
    with pytest.raises(ProviderError, match="no host of target rack"):
        rack.provider().logs(seen, tail=1, follow=False)
