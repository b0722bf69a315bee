"""The stack `rack` on real Docker hosts, old, current and with GPUs: started, asked, a host lost and back, removed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infctl.ops.init import stacks
from tests.testbed.hosts import DockerHost, Make
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
    body = json.dumps({"model": "chat", "prompt": "infctl is", "max_tokens": 8, "temperature": 0})
    asked = ("curl", "-sS", "-H", "content-type: application/json", "-d", body, f"{url}/completions")
    said = subprocess.run(host.beside(*asked), capture_output=True, text=True, check=True, timeout=60).stdout
    return str(json.loads(said)["choices"][0]["text"])


def health(host: DockerHost, url: str) -> str:
    asked = host.beside("curl", "-sS", "--max-time", "10", url.removesuffix("/v1") + "/health")
    return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


GIVEN = ("-var-file", "lab.yaml")
GPU_MODEL = """
  embed:
    engine: custom
    image: busybox:1
    command: [sh, -c, "nvidia-smi -L >/tmp/health; exec httpd -f -p 8080 -h /tmp"]
    port: 8080
    health: /health
    gpu: {count: 1}
"""


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> tuple[Path, tuple[DockerHost, ...]]:
    """An old Docker, a current one, and a current one with GPUs: a replica for each, and a model that wants a GPU."""
    gpus = Make("current", gpus="h100x2")
    made = hosts("old", "current", gpus, loaded=("llama:1", "haproxy:3.0", "busybox:1"))
    infctl(tmp_path, "init", "-stack", "rack")
    values = {"hosts": [{"url": host.url, "timeout": 3} for host in made], "image": "llama:1", "proxy": "haproxy:3.0"}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(values))
    file = tmp_path / "inference.yaml"
    file.write_text(file.read_text().replace("replicas: 2", "replicas: 3") + GPU_MODEL)
    return tmp_path, made


def urls(folder: Path, model: str) -> list[str]:
    return list(json.loads(infctl(folder, "output", "-json"))[f"{model}.urls"]["value"]["rack"])


def replicas(hosts: tuple[DockerHost, ...], model: str) -> list[int]:
    return [len(host.docker("ps", "-q", "--filter", f"label=infctl.model={model}").split()) for host in hosts]


@pytest.mark.timeout(600)
def test_a_rack_of_three_hosts_from_its_plan_to_its_end(rack: tuple[Path, tuple[DockerHost, ...]]) -> None:
    folder, hosts = rack
    old, current, gpus = hosts
    infctl(folder, "plan", "-detailed-exitcode", *GIVEN, code=2)
    assert f"Ask it on {old.address}:" in infctl(folder, "apply", "-auto-approve", *GIVEN)
    assert (replicas(hosts, "chat"), replicas(hosts, "embed")) == ([1, 1, 1], [0, 0, 1])
    for host, chat, embed in zip(hosts, urls(folder, "chat"), urls(folder, "embed"), strict=True):
        assert complete(host, chat).strip()
        assert health(host, embed).startswith("GPU 0: ")
    assert "No changes." in infctl(folder, "plan", "-detailed-exitcode", *GIVEN)

    for lost in (folder / ".infctl/default").rglob("*.json*"):
        lost.unlink()
    infctl(folder, "plan", *GIVEN, code=1)
    infctl(folder, "state", "recover", "-auto-approve", *GIVEN)  # from what runs on all of them
    assert "No changes." in infctl(folder, "plan", "-detailed-exitcode", *GIVEN)

    current.partition()
    infctl(folder, "plan", *GIVEN, code=1)
    said = infctl(folder, "plan", "-allow-unreachable", *GIVEN)
    assert "No changes." in said
    assert f"Not read: {current.address}" in said
    infctl(folder, "apply", "-auto-approve", f"-evacuate={current.address}", *GIVEN)
    left = (old, gpus)
    assert sum(replicas(left, "chat")) == 3
    for host, url in ((old, urls(folder, "chat")[0]), (gpus, urls(folder, "chat")[-1])):
        assert complete(host, url).strip()

    current.heal()
    back = infctl(folder, "apply", "-auto-approve", *GIVEN)
    assert "given up when its place could not be read" in " ".join(back.split())
    assert sum(replicas(hosts, "chat")) == 3
    for host, url in zip(hosts, urls(folder, "chat"), strict=True):
        assert complete(host, url).strip()
    assert "No changes." in infctl(folder, "plan", "-detailed-exitcode", *GIVEN)
    infctl(folder, "destroy", "-auto-approve", *GIVEN)
    for host in hosts:
        assert not host.docker("ps", "-aq").split()
        assert not host.docker("network", "ls", "-q", "--filter", "label=infctl.stack").split()


@pytest.mark.timeout(300)
def test_the_readme_of_the_stack_works_as_it_is_typed(hosts: HostsOf, tmp_path: Path) -> None:
    """On the first host, as it says; only the hosts' urls and images are others, and nobody is asked for a yes."""
    made = hosts("old", "current", loaded=("llama:1", "haproxy:3.0"))
    (told,) = re.findall(r"```console\n(.*?)```", (stacks()["rack"] / "README.md").read_text(), re.DOTALL)
    typed = [line.removeprefix("$ ") for line in told.splitlines()]
    typed = [re.sub(r"infctl (apply|destroy)$", r"infctl \1 -auto-approve", line) for line in typed]
    typed = [re.sub(r"'\[ssh://.*\]'", f"'[{made[0].url}, {made[1].url}]'", line) for line in typed]
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTHONPATH", "INFCTL_INPUT"}}
    env |= {"INFCTL_VAR_image": "llama:1", "INFCTL_VAR_proxy": "haproxy:3.0"}
    env["PATH"] = f"{Path(INFCTL).parent}:{env['PATH']}"
    shell = made[0].beside("bash", "-euc", "\n".join(typed))
    done = subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("checks ok.", "chat r1 serves", '"role":"assistant"', "Destroy complete!"):
        assert words in done.stdout
