"""The stack `rack` on real Docker hosts, an old and a current one: started, asked, and removed without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")
INFCTL = str(Path(sys.executable).with_name("infctl"))


def infctl(folder: Path, *argv: str, code: int = 0) -> str:
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH", "INFCTL_INPUT"}}
    done = subprocess.run([INFCTL, *argv], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def complete(host: DockerHost, url: str) -> str:
    """Return what a model answers to somebody on the host itself."""
    body = json.dumps({"model": "chat", "prompt": "infctl is", "max_tokens": 8})
    asked = ("curl", "-sS", "-H", "content-type: application/json", "-d", body, f"{url}/completions")
    said = subprocess.run(host.beside(*asked), capture_output=True, text=True, check=True, timeout=60).stdout
    return str(json.loads(said)["choices"][0]["text"])


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> tuple[Path, tuple[DockerHost, ...]]:
    made = hosts("old", "current", loaded=("llama:1", "haproxy:3.0"))
    infctl(tmp_path, "init", "-stack", "rack")
    values = {"hosts": [host.url for host in made], "image": "llama:1", "proxy": "haproxy:3.0"}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(values))
    return tmp_path, made


def test_the_rack_is_started_asked_and_removed(rack: tuple[Path, tuple[DockerHost, ...]]) -> None:
    folder, hosts = rack
    given = ("-var-file", "lab.yaml")
    infctl(folder, "plan", "-detailed-exitcode", *given, code=2)
    assert f"Ask it on {hosts[0].address}:" in infctl(folder, "apply", "-auto-approve", *given)
    urls = json.loads(infctl(folder, "output", "-json"))["chat.urls"]["value"]["rack"]
    assert len(urls) == len(hosts)
    for host, url in zip(hosts, urls, strict=True):
        assert complete(host, url).strip()
        assert len(host.docker("ps", "-q", "--filter", "label=infctl.model=chat").split()) == 1
    assert "No changes." in infctl(folder, "plan", "-detailed-exitcode", *given)
    infctl(folder, "destroy", "-auto-approve", *given)
    for host in hosts:
        assert not host.docker("ps", "-aq").split()
        assert not host.docker("network", "ls", "-q", "--filter", "label=infctl.stack").split()
