"""What people change by hand on a host: fields that infctl owns are found changed, others are not its business."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl.plan.diff import diff
from infctl.provider.values import Change, Do, Observed, Scope
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.kinds import CONTAINER, KINDS
from tests.contract.docker.rack import IMAGES, LINEAGE, Rack, template, wish
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

Body = dict[str, Any]
MORE = {"tmpfs": ("/tmp",), "cache": "/cache"}  # noqa: S108
IN_PLACE = {
    "less memory": (("update", "--memory=48m", "--memory-swap=48m"), "memory_limit"),
    "less memory kept": (("update", "--memory-reservation=16m"), "memory"),
    "fewer processors": (("update", "--cpus=0.5"), "cpus"),
    "not restarted": (("update", "--restart=no"), "restart"),
    "renamed": (("rename",), "renamed_to"),
    "off its network": (("network", "disconnect"), "network"),
    "on another network": (("network", "connect", "bridge"), "network"),
    "paused": (("pause",), "running"),
    "stopped": (("stop", "-t1"), "running"),
    "killed": (("kill",), "running"),
    "removed": (("rm", "-f"), "gone"),
}


def _host(**more: Any) -> Callable[[Body], None]:
    return lambda body: body["HostConfig"].update(more)


def _config(**more: Any) -> Callable[[Body], None]:
    return lambda body: body.update(more)


def _without_env(body: Body) -> None:
    body["Env"] = [word for word in body["Env"] if not word.startswith("COLOUR=")]


def _open_port(body: Body) -> None:
    for bound in body["HostConfig"]["PortBindings"].values():
        bound[0]["HostIp"] = "0.0.0.0"  # noqa: S104


def _label(body: Body) -> None:
    body["Labels"]["infctl.tag.team"] = "blue"


MADE_ANEW = {
    "another image": (_config(Image="haproxy:3.0"), "image"),
    "another command": (_config(Entrypoint=["sleep", "900"]), "command"),
    "another environment": (lambda body: body["Env"].append("COLOUR=green"), "env"),
    "less environment": (_without_env, "env"),
    "an open port": (_open_port, "port"),
    "all rights": (_host(Privileged=True), "sandbox"),
    "one more right": (_host(CapAdd=["NET_ADMIN"]), "sandbox"),
    "new privileges": (_host(SecurityOpt=[]), "sandbox"),
    "the host's processes": (_host(PidMode="host"), "sandbox"),
    "little shared memory": (_host(ShmSize=1 << 20), "sandbox"),
    "no tmpfs": (_host(Tmpfs={}), "sandbox"),
    "a folder of the host": (_host(Binds=["/etc:/host"]), "mounts"),
    "no volume": (_host(Mounts=[]), "mounts"),
    "endless logs": (_host(LogConfig={"Type": "json-file", "Config": {}}), "log"),
    "no health check": (_config(Healthcheck={"Test": ["NONE"]}), "health"),
    "another team": (_label, "tags"),
}
NOT_OURS_IN_PLACE = {
    "processor shares": ("update", "--cpu-shares=512"),
    "one processor": ("update", "--cpuset-cpus=0"),
    "a limit of processes": ("update", "--pids-limit=200"),
    "a file": ("exec", "touch", "/etc/note"),
    "an image of it": ("commit",),
}
NOT_OURS_MADE_ANEW = {
    "a label": lambda body: body["Labels"].update({"com.example.owner": "ops"}),
    "a host name": _config(Hostname="box"),
    "a variable": lambda body: body["Env"].append("EDITOR=vi"),
    "a stop signal": _config(StopSignal="SIGINT"),
    "a limit of files": _host(Ulimits=[{"Name": "nofile", "Soft": 4096, "Hard": 4096}]),
    "a work folder": _config(WorkingDir="/www"),
}


@pytest.fixture(params=["old", "current"])
def rack(hosts: HostsOf, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rack]:
    with closing(Rack(tmp_path, hosts(request.param, loaded=IMAGES), cpus=1.0)) as made:
        yield made


def make(rack: Rack) -> Change:
    """Make the one replica of which everything is asked, and return the change that made it."""
    made = template(env={"COLOUR": "red"}, memory=32_000_000, container=MORE)
    (change,) = [
        one for one in rack.make_replicas(wish(made, tags={"team": "red"})).values() if one.address.kind == CONTAINER
    ]
    return change


def found(rack: Rack, change: Change) -> set[str]:
    """Return what a plan would find changed: fields, "running", "gone"."""
    reading = rack.bench.provider.observe(Scope(LINEAGE, "test", "default"))
    assert not reading.unreadable
    seen = next((one for one in reading.value if one.id == change.id), None)
    if seen is None:
        return {"gone"}
    changes = diff(KINDS[CONTAINER], seen.values, change.after or {})
    return {one.path[0] for one in changes} | (set() if seen.running else {"running"})


def edit(rack: Rack, seen: Observed, argv: tuple[str, ...]) -> None:
    host, container = rack.hosts[0], rack.container(seen)
    if argv[0] == "rename":
        host.docker("rename", container, "by-hand")
    elif argv[:2] == ("network", "disconnect"):
        host.docker("network", "disconnect", "-f", str(seen.values["network"]), container)
    elif argv[0] == "exec":
        host.docker("exec", container, *argv[1:])
    else:
        host.docker(*argv, container)


def make_anew(host: DockerHost, container: str, change: Callable[[Body], Any]) -> None:
    """Make a container again as somebody would who copies what an inspect says, with one thing changed."""
    with closing(Host(HostConfig(url=f"unix://{host.socket}", name=host.name))) as reached:
        doc = reached.api.inspect_container(container)
        networks: Body = {name: {} for name in doc["NetworkSettings"]["Networks"]}
        config = {
            name: doc["Config"][name]
            for name in ("Image", "Entrypoint", "Cmd", "Env", "Labels", "Healthcheck", "ExposedPorts")
        }
        body = {**config, "HostConfig": doc["HostConfig"], "NetworkingConfig": {"EndpointsConfig": networks}}
        change(body)
        reached.api.remove_container(container, force=True)
        made = reached.api.create_container_from_config(body, doc["Name"].removeprefix("/"))
        reached.api.start(made["Id"])


def test_what_is_changed_on_a_running_container_is_found_and_put_right(rack: Rack) -> None:
    change = make(rack)
    assert found(rack, change) == set()
    for name, (argv, field) in IN_PLACE.items():
        edit(rack, rack.replica(), argv)
        assert found(rack, change) == {field}, name
        rack.bench.provider.apply(change, rack.bench.heard.append)
        assert found(rack, change) == set(), name


def test_a_container_made_anew_by_hand_with_our_labels_is_not_taken_for_ours(rack: Rack) -> None:
    change = make(rack)
    for name, (edited, field) in MADE_ANEW.items():
        make_anew(rack.hosts[0], rack.container(rack.replica()), edited)
        assert found(rack, change) - {"running"} == {field}, name
        rack.bench.provider.apply(replace(change, do=Do.DELETE, after=None), rack.bench.heard.append)
        rack.bench.provider.apply(change, rack.bench.heard.append)
        assert found(rack, change) == set(), name


def test_what_infctl_does_not_own_is_not_reported(rack: Rack) -> None:
    change = make(rack)
    rack.hosts[0].docker("network", "create", "others")
    rack.hosts[0].docker("run", "-d", "--name", "others", "busybox:1", "sleep", "900")
    rack.hosts[0].docker("tag", "busybox:1", "busybox:mine")
    for name, argv in NOT_OURS_IN_PLACE.items():
        edit(rack, rack.replica(), argv)
        assert found(rack, change) == set(), name
    for name, edited in NOT_OURS_MADE_ANEW.items():
        make_anew(rack.hosts[0], rack.container(rack.replica()), edited)
        assert found(rack, change) == set(), name


def test_a_network_that_was_removed_is_missed_and_made_again(rack: Rack) -> None:
    made = rack.make_replicas(wish(template()))
    (change,) = [one for one in made.values() if one.address.kind == CONTAINER]
    (network,) = [seen for seen in rack.observe() if seen.address.kind == "docker_network"]
    host, container = rack.hosts[0], rack.container(rack.replica())
    host.docker("network", "disconnect", "-f", network.name, container)
    host.docker("network", "rm", network.name)
    assert [seen.address.kind for seen in rack.observe()] == [CONTAINER]
    assert found(rack, change) == {"network"}
    for again in made.values():
        rack.bench.do(again)
    assert found(rack, change) == set()
    assert rack.bench.wait(rack.replica()).ready
