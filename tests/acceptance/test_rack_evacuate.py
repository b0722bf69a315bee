"""A host of a rack whose network is gone: told once, given up on request, and emptied first when it is back."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.test_rack import infctl
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")
REFUSED = 7  # curl's exit status where nobody listens

SERVE = "mkdir -p /tmp/www && hostname >/tmp/www/health && exec httpd -f -p 8080 -h /tmp/www"


def write_stack(folder: Path, hosts: tuple[DockerHost, ...], replicas: int) -> None:
    serve = {"command": ["sh", "-c", SERVE], "port": 8080, "health": "/health"}
    model = {"engine": "custom", "image": "busybox:1", "replicas": replicas, **serve}
    named = [{"url": host.url, "name": f"h{number}"} for number, host in enumerate(hosts)]
    rack = {"type": "docker", "hosts": named, "proxy": {"image": "haproxy:3.0"}}
    stack = {"apiVersion": "infctl/v1", "name": "shop", "targets": {"rack": rack}, "models": {"chat": model}}
    (folder / "inference.yaml").write_text(json.dumps(stack))


def replicas_on(host: DockerHost) -> list[str]:
    told = host.docker("ps", "-a", "--filter", "label=infctl.model=chat", "--format", "{{.Names}}").split()
    return [name for name in told if "-chat-r" in name]


def ids_on(host: DockerHost) -> list[str]:
    """Return what each replica of a host calls itself: the host name of a container is its id."""
    return host.docker("ps", "--filter", "label=infctl.model=chat", "--format", "{{.ID}}").split()


def answer(host: DockerHost, url: str) -> str:
    asked = host.beside("curl", "-sS", "--max-time", "10", url.removesuffix("/v1") + "/health")
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def test_a_lost_host_is_evacuated_and_emptied_when_it_is_back(hosts: HostsOf, tmp_path: Path) -> None:
    made = hosts("old", "current", "current", loaded=("busybox:1", "haproxy:3.0"))
    write_stack(tmp_path, made, 2)
    infctl(tmp_path, "apply", "-auto-approve")
    assert [len(replicas_on(host)) for host in made] == [1, 1, 0]
    lost = replicas_on(made[1])

    made[1].partition()
    infctl(tmp_path, "plan", code=1)
    assert "No changes." in infctl(tmp_path, "plan", "-allow-unreachable")
    said = infctl(tmp_path, "apply", "-auto-approve", "-evacuate=h1")
    assert "created on h2" in said
    assert "1 replica given up on h1" in " ".join(said.split())
    assert [len(replicas_on(host)) for host in (made[0], made[2])] == [1, 1]
    urls = json.loads(infctl(tmp_path, "output", "-json"))["chat.urls"]["value"]["rack"]
    assert {answer(made[0], urls[0]) for _ in range(20)} <= {*ids_on(made[0]), *ids_on(made[2])}

    made[1].heal()
    assert replicas_on(made[1]) == lost
    back = infctl(tmp_path, "apply", "-auto-approve")
    assert "given up when its place could not be read" in " ".join(back.split())
    assert [len(replicas_on(host)) for host in made] == [1, 0, 1]
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")


@pytest.mark.timeout(600)
def test_another_proxy_comes_to_one_host_after_the_other(hosts: HostsOf, tmp_path: Path) -> None:
    made = hosts("old", "current", loaded=("busybox:1", "haproxy:3.0"))
    write_stack(tmp_path, made, 2)
    infctl(tmp_path, "apply", "-auto-approve")
    urls = json.loads(infctl(tmp_path, "output", "-json"))["chat.urls"]["value"]["rack"]
    for host in made:
        host.docker("tag", "haproxy:3.0", "haproxy:next")
    file = tmp_path / "inference.yaml"
    file.write_text(file.read_text().replace("haproxy:3.0", "haproxy:next"))
    said = " ".join(infctl(tmp_path, "plan").split())
    assert "Downtime: each address of chat is away for a moment, one host after the other." in said

    def listens(number: int) -> bool:
        asked = made[number].beside("curl", "-s", "-o", "/dev/null", "--max-time", "30", f"{urls[number]}/models")
        return subprocess.run(asked, check=False, timeout=60).returncode != REFUSED

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(infctl, tmp_path, "apply", "-auto-approve")
        both_away = 0
        while not run.done():
            both_away += not (listens(0) or listens(1) or listens(0))  # the first still away after the second was
        run.result()
    assert not both_away
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode")
    assert urls == json.loads(infctl(tmp_path, "output", "-json"))["chat.urls"]["value"]["rack"]
    assert [answer(host, url) for host, url in zip(made, urls, strict=True)]
