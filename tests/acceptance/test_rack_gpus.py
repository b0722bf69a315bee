"""GPUs of a rack that several stacks want: each device is had by one, whoever comes at the same time."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_rack import INFCTL, infctl
from tests.testbed import gpus
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

SERVE = "mkdir -p /tmp/www && echo fine >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"
GPU = [gpus.uuid_of(number) for number in range(2)]
MIB = 1024**2


def write_stack(folder: Path, name: str, host: DockerHost, gpu: dict[str, Any], **target: Any) -> Path:
    serve = {"command": ["sh", "-c", SERVE], "port": 8080, "health": "/health"}
    model = {"engine": "custom", "image": "busybox:1", **serve, "gpu": gpu}
    rack = {"type": "docker", "hosts": [{"url": host.url, "name": "h"}], "proxy": {"image": "haproxy:3.0"}, **target}
    stack = {"apiVersion": "infctl/v1", "name": name, "targets": {"rack": rack}, "models": {"chat": model}}
    (folder / name).mkdir()
    (folder / name / "inference.yaml").write_text(json.dumps(stack))
    return folder / name


def promised(host: DockerHost) -> dict[str, list[list[Any]]]:
    """Return what each container of the host was promised of its devices, by name."""
    form = '{{.Names}} {{.Label "infctl.devices"}}'
    told = host.docker("ps", "-a", "--filter", "label=infctl.devices", "--format", form)
    return {name: json.loads(shares) for name, shares in (line.split(" ", 1) for line in told.splitlines())}


@pytest.fixture
def host(hosts: HostsOf) -> DockerHost:
    (made,) = hosts(Make("old", gpus="h100x2"), loaded=("busybox:1", "haproxy:3.0"))
    return made


def test_of_two_stacks_that_want_one_device_at_once_one_has_it_and_the_other_says_so(
    host: DockerHost, tmp_path: Path
) -> None:
    stacks = [write_stack(tmp_path, name, host, {"count": 1}) for name in ("one", "two")]
    for stack in stacks:
        assert "with GPU 0" in infctl(stack, "plan", "-out", "saved")
    merged: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    runs = [subprocess.Popen([INFCTL, "apply", "saved"], cwd=stack, **merged) for stack in stacks]
    said = [run.communicate(timeout=90)[0] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1], said
    lost = next(number for number, run in enumerate(runs) if run.returncode)
    words = " ".join(said[lost].split())
    assert f"{GPU[0]} on h was promised to others" in words or "error[plan-stale]" in words
    assert promised(host) == {f"{stacks[1 - lost].name}-chat-r1-0": [[GPU[0], 0]]}
    assert "with GPU 1" in infctl(stacks[lost], "plan")
    infctl(stacks[lost], "apply", "-auto-approve")
    assert sorted(promised(host).values()) == [[[GPU[0], 0]], [[GPU[1], 0]]]
    for stack in stacks:
        assert "No changes." in infctl(stack, "plan")


def test_a_device_is_shared_by_memory_and_not_beyond(host: DockerHost, tmp_path: Path) -> None:
    share = {"gpu_reserve": {"h": [1]}}
    first, second, third = (
        write_stack(tmp_path, name, host, {"memory": memory}, **share)
        for name, memory in (("one", "40GB"), ("two", "30GB"), ("three", "20GB"))
    )
    infctl(first, "apply", "-auto-approve")
    infctl(second, "apply", "-auto-approve")
    assert {name: shares[0][0] for name, shares in promised(host).items()} == dict.fromkeys(
        ("one-chat-r1-0", "two-chat-r1-0"), GPU[0]
    )
    assert sum(shares[0][1] for shares in promised(host).values()) <= 81_559 * MIB
    infctl(third, "plan", code=1)
    infctl(first, "destroy", "-auto-approve")
    infctl(third, "apply", "-auto-approve")
    assert sorted(promised(host)) == ["three-chat-r1-0", "two-chat-r1-0"]


def test_a_new_revision_takes_over_the_only_device(host: DockerHost, tmp_path: Path) -> None:
    stack = write_stack(tmp_path, "one", host, {"count": 2})
    infctl(stack, "apply", "-auto-approve")
    written = (stack / "inference.yaml").read_text()
    (stack / "inference.yaml").write_text(written.replace("echo fine", "echo finer"))
    infctl(stack, "apply", "-auto-approve")
    assert promised(host) == {"one-chat-r2-0": [[GPU[0], 0], [GPU[1], 0]]}
    assert "No changes." in infctl(stack, "plan")


def test_what_a_killed_run_held_goes_though_the_next_has_nothing_to_do_there(host: DockerHost, tmp_path: Path) -> None:
    stack = write_stack(tmp_path, "one", host, {"count": 1})
    file = stack / "inference.yaml"
    for_one = file.read_text()
    for_two = for_one.replace('"engine"', '"replicas": 2, "engine"')
    infctl(stack, "apply", "-auto-approve")

    def grow(fault: str) -> str:
        file.write_text(for_two)
        argv = (INFCTL, "apply", "-auto-approve", "-parallelism=1")
        env = {**os.environ, "INFCTL_FAULT": fault}
        return subprocess.run(argv, cwd=stack, env=env, capture_output=True, text=True, check=False, timeout=90).stderr

    points = re.findall(r"^fault (\d+) (.*)$", grow("list"), re.MULTILINE)
    create = next(number for number, what in points if what.startswith("ask:") and "name=one-chat-" in what)
    file.write_text(for_one)
    infctl(stack, "apply", "-auto-approve")
    grow(f"kill:{create}")
    held = [name for name in promised(host) if name.startswith("infctl-gpu-")]
    assert held
    file.write_text(for_one)
    assert "Apply complete! Resources: 0 added, 0 changed, 0 destroyed" in infctl(stack, "apply", "-auto-approve")
    assert list(promised(host)) == ["one-chat-r1-0"]
