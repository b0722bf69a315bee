"""The bed itself: what a test of ours may rely on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.testbed.amd import RENDER_GROUP, unique_id
from tests.testbed.bed import Bed
from tests.testbed.gpus import nvml, slice_of, uuid_of, write_gpus
from tests.testbed.hosts import Make
from tests.testbed.plugin import HostsOf, need_testbed
from tests.testbed.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("testbed")


def over_ssh(bed: Bed, address: str, *command: str) -> str:
    config = str(bed.home / ".ssh" / "config")
    argv = ["ssh", "-F", config, "-o", "ConnectTimeout=1", address, *command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout


def opened(asked: urllib.request.Request, seconds: float = 20) -> bytes:
    """Return the body of the first good answer."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_two_versions_of_docker_answer_side_by_side(bed: Bed, hosts: HostsOf) -> None:
    old, new = hosts("old", "current")
    version = ("docker", "version", "--format", "{{.Server.Version}}")
    assert over_ssh(bed, old.address, *version).startswith("20.10.")
    assert int(over_ssh(bed, new.address, *version).split(".")[0]) >= 26


def test_a_power_cut_keeps_the_disk_and_the_address(bed: Bed, hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.docker("run", "-d", "--name", "again", "--restart", "unless-stopped", "busybox:1", "sleep", "900")
    host.crash()
    with pytest.raises(subprocess.CalledProcessError):
        over_ssh(bed, host.address, "true")
    host.up()
    assert over_ssh(bed, host.address, "docker", "ps", "--format", "{{.Names}}").split() == ["again"]


def test_gpus_are_given_and_refused_with_the_words_of_the_real_parts(hosts: HostsOf) -> None:
    old, new, bare = hosts(Make("old", gpus="h100x8"), Make("current", gpus="h100x8"), "old")
    for host in (old, new):
        listed = host.docker("run", "--rm", "--gpus", '"device=1,3"', "busybox:1", "nvidia-smi", "-L")
        assert [line.split()[-1] for line in listed.splitlines()] == [f"{uuid_of(n)})" for n in (1, 3)]
        assert "unknown device" in host.docker("run", "--rm", "--gpus", "device=9", "busybox:1", "true", check=False)
    asked = bare.docker("run", "--rm", "--gpus", "all", "busybox:1", "true", check=False)
    assert 'could not select device driver "" with capabilities: [[gpu]]' in asked
    listed = new.docker("run", "--rm", "--device", "nvidia.com/gpu=3", "busybox:1", "nvidia-smi", "-L")
    assert uuid_of(3) in listed
    asked = new.docker("run", "--rm", "--device", "nvidia.com/gpu=9", "busybox:1", "true", check=False)
    assert "unresolvable CDI devices nvidia.com/gpu=9" in asked


def test_nvidia_smi_answers_a_query(hosts: HostsOf) -> None:
    (host,) = hosts(Make("old", gpus="h100x8"))
    asked = host.sh("nvidia-smi", "--query-gpu=index,uuid,memory.total,memory.free,compute_cap", "--format=csv")
    first, *rows = asked.splitlines()
    assert first == "index, uuid, memory.total [MiB], memory.free [MiB], compute_cap"
    assert rows[7] == f"7, {uuid_of(7)}, 81559 MiB, 81559 MiB, 9.0"
    host.sh("tee", "/etc/testbed/gpu-apps", given=f"{uuid_of(7)}, 41, 900\n".encode())
    apps = ("nvidia-smi", "--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader")
    assert host.sh(*apps) == f"{uuid_of(7)}, 41, 900 MiB\n"
    host.clean()
    assert host.sh(*apps) == ""
    assert "not a valid field" in host.sh("nvidia-smi", "--query-gpu=index,colour", "--format=csv", check=False)


def test_slices_of_a_gpu_are_given_by_hook_and_by_cdi(hosts: HostsOf) -> None:
    cut = "l4x1+a100-40x1:3g.20gb,2g.10gb"
    old, new = hosts(Make("old", gpus=cut), Make("current", gpus=cut, gpu_hook=False))
    listed = old.sh("nvidia-smi", "-L").splitlines()
    assert listed[-1] == f"  MIG 2g.10gb     Device  1: (UUID: {slice_of(1, 1)})"
    assert "19968MiB" in old.sh("nvidia-smi")
    by_hook = old.docker("run", "--rm", "--gpus", f"device={slice_of(1, 1)}", "busybox:1", "nvidia-smi", "-L")
    by_cdi = new.docker("run", "--rm", "--device", "nvidia.com/gpu=1:1", "busybox:1", "nvidia-smi", "-L")
    assert by_hook == by_cdi
    assert slice_of(1, 1) in by_hook
    assert slice_of(1, 0) not in by_hook
    assert "could not select device driver" in new.docker(
        "run", "--rm", "--gpus", "1", "busybox:1", "true", check=False
    )
    assert "unresolvable" in new.docker("run", "--rm", "--device", "nvidia.com/gpu=1", "busybox:1", "true", check=False)


def test_amds_gpus_are_device_nodes_that_a_container_is_given(hosts: HostsOf) -> None:
    (host,) = hosts(Make("current", gpus="mi300xx2"))
    assert json.loads(host.sh("rocm-smi"))["card1"]["Unique ID"] == unique_id(1)
    nodes = ("--device", "/dev/kfd", "--device", "/dev/dri/renderD129")
    given = host.docker("run", "--rm", *nodes, "--group-add", str(RENDER_GROUP), "busybox:1", "ls", "-n", "/dev/dri")
    assert re.search(r" 993 +226, +129 .* renderD129$", given.strip())


def test_pynvml_finds_the_gpus(tmp_path: Path) -> None:
    need_testbed()
    write_gpus("h200x1+l4x1+a100-40x1:3g.20gb", tmp_path)
    script = (
        "import pynvml as n; n.nvmlInit()\n"
        "for i in range(n.nvmlDeviceGetCount()):\n"
        "    h = n.nvmlDeviceGetHandleByIndex(i)\n"
        "    print(n.nvmlDeviceGetName(h), n.nvmlDeviceGetMemoryInfo(h).total >> 20, n.nvmlDeviceGetUUID(h))\n"
        "print(n.nvmlDeviceGetName(n.nvmlDeviceGetMigDeviceHandleByIndex(h, 0)))"
    )
    env = {"LD_LIBRARY_PATH": str(nvml()), "TESTBED_GPUS": str(tmp_path / "testbed/gpus.d")}
    said = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == [
        f"NVIDIA H200 143771 {uuid_of(0)}",
        f"NVIDIA L4 23034 {uuid_of(1)}",
        f"NVIDIA A100-SXM4-40GB 40960 {uuid_of(2)}",
        "NVIDIA A100-SXM4-40GB MIG 3g.20gb",
    ]


def test_a_registry_is_pulled_from_by_digest(hosts: HostsOf, registry: Registry) -> None:
    named = registry.push("busybox:1", "tools/box:7")
    for host in hosts("old", "current"):
        host.docker("pull", "-q", named)
        host.docker("run", "--rm", named, "true")
        assert "manifest unknown" in host.docker("pull", f"{named[:-4]}0000", check=False)


def test_a_private_registry_asks_for_a_login(hosts: HostsOf, private_registry: Registry) -> None:
    (host,) = hosts("old")
    named = private_registry.push("busybox:1")
    assert "no basic auth credentials" in host.docker("pull", named, check=False)
    host.docker("login", "-u", "reader", "--password-stdin", private_registry.address, given=b"open sesame")
    host.docker("pull", "-q", named)
    host.docker("logout", private_registry.address)


def test_llama_cpp_completes_a_text_in_a_container(hosts: HostsOf) -> None:
    (host,) = hosts("current", loaded=("llama:1",))
    models = ROOT / "stacks" / "hello" / "models"
    host.sh("mkdir", "-p", "/srv/models")
    host.sh("tee", "/srv/models/hello.gguf", given=(models / "hello.gguf").read_bytes())
    host.docker("run", "-d", "-p", "8000:8080", "-v", "/srv/models:/models:ro", "llama:1", "-m", "/models/hello.gguf")
    body = json.dumps({"prompt": "Once", "max_tokens": 4}).encode()
    asked = urllib.request.Request(f"http://{host.address}:8000/v1/completions", body)
    assert json.loads(opened(asked))["choices"][0]["text"]


def test_an_engine_that_wants_gpus_is_stood_in_for(hosts: HostsOf) -> None:
    (host,) = hosts(Make("old", gpus="h100x8"), loaded=("vllm:1",))
    argv = ("vllm:1", "--model", "acme/big", "--served-model-name=big", "--port=9000", "--tensor-parallel-size", "2")
    assert "Failed to infer device type" in host.docker("run", "--rm", *argv, check=False)
    assert "World size (2)" in host.docker("run", "--rm", "--gpus", "1", *argv, check=False)
    greedy = (
        "--name",
        "greedy",
        "--gpus",
        "2",
        "-m",
        "40m",
        "--memory-swap",
        "40m",
        "-e",
        "ENGINE_EATS=200000000",
        *argv,
    )
    host.docker("run", *greedy, check=False)
    assert host.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "greedy").strip() == "true 137"
    host.docker("run", "-d", "-p", "9000:9000", "--gpus", "2", *argv)
    body = json.dumps({"model": "big", "messages": []}).encode()
    said = opened(urllib.request.Request(f"http://{host.address}:9000/v1/chat/completions", body))
    assert json.loads(said)["choices"][0]["message"]["content"] == "yes"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://{host.address}:9000/v1/completions", body.replace(b"big", b"small"), timeout=5)
