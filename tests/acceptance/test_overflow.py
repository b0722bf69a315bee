"""Real Docker hosts and this machine: the next target takes what the first has no room for."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.acceptance.test_rack import complete, infctl
from tests.testbed import gpus
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

SERVE = "mkdir -p /tmp/www && echo fine >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"


def write_stack(folder: Path, replicas: int, hosts: tuple[DockerHost, ...]) -> None:
    serve = {"command": ["sh", "-c", SERVE], "port": 8080, "health": "/health", "image": "busybox:1"}
    model = {"engine": "custom", **serve, "gpu": {"count": 1}, "replicas": replicas}
    targets = {
        name: {"type": "docker", "hosts": [{"url": host.url, "name": name}], "proxy": {"image": "haproxy:3.0"}}
        for name, host in zip(("rack", "lab"), hosts, strict=True)
    }
    chat = {**model, "placement": {"order": list(targets)}}
    stack = {"apiVersion": "infctl/v1", "name": "two", "targets": targets, "models": {"chat": chat}}
    (folder / "inference.yaml").write_text(json.dumps(stack))


def running(host: DockerHost) -> list[str]:
    return host.docker("ps", "-q", "--filter", "label=infctl.model=chat").split()


@pytest.mark.timeout(300)
def test_the_second_rack_takes_what_the_first_has_no_room_for(hosts: HostsOf, tmp_path: Path) -> None:
    two, one = Make("old", gpus="h100x2"), Make("current", gpus="h100x1")
    made = hosts(two, one, loaded=("busybox:1", "haproxy:3.0"))
    rack, lab = made
    write_stack(tmp_path, 2, made)
    infctl(tmp_path, "apply", "-auto-approve")
    first = running(rack)
    assert (len(first), running(lab)) == (2, [])
    write_stack(tmp_path, 3, made)
    said = " ".join(infctl(tmp_path, "apply", "-auto-approve").split())
    assert "rack 2 (rack 2)" in said
    assert "lab 1 (lab 1)" in said
    assert "rack has room for 2 of 3 replicas, 1 to lab" in said
    assert (running(rack), len(running(lab))) == (first, 1)
    assert gpus.uuid_of(0) in lab.docker("inspect", *running(lab))
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")
    write_stack(tmp_path, 4, made)
    infctl(tmp_path, "plan", code=1)


@pytest.mark.timeout(300)
def test_this_machine_takes_what_a_rack_has_no_host_for(hosts: HostsOf, tmp_path: Path) -> None:
    (host,) = hosts("current", loaded=("llama:1", "haproxy:3.0"))
    infctl(tmp_path, "init", "-stack", "rack")
    file = tmp_path / "inference.yaml"
    stack = yaml.safe_load(file.read_text())
    stack["targets"] |= {"laptop": {"type": "local"}}
    stack["models"]["chat"] |= {"placement": {"order": ["rack", "laptop"], "spread": "host"}}
    file.write_text(yaml.safe_dump(stack, sort_keys=False))
    values = {"hosts": [{"url": host.url, "name": "h"}], "image": "llama:1", "proxy": "haproxy:3.0"}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(values))
    given = ("-var-file", "lab.yaml")
    try:
        said = " ".join(infctl(tmp_path, "apply", "-auto-approve", *given).split())
        assert "rack has room for 1 of 2 replicas, 1 to laptop" in said
        urls = json.loads(infctl(tmp_path, "output", "-json"))["chat.urls"]["value"]
        assert len(running(host)) == 1
        assert complete(host, urls["rack"][0]).strip()
        body = json.dumps({"model": "chat", "prompt": "infctl is", "max_tokens": 4}).encode()
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(f"{urls['laptop'][0]}/completions", body, headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert json.load(answer)["choices"][0]["text"]
        assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode", *given)
    finally:
        infctl(tmp_path, "destroy", "-auto-approve", *given)
    assert running(host) == []
