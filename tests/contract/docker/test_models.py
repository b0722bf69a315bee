"""Model files on their way to hosts: each scheme, once for a host, continued after a cut, checked before it counts."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Progress
from infctl_docker.errors import HostDown
from tests.contract.docker.rack import PROXY_IMAGE, Rack, template, wish
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")
LOADED = ("busybox:1", "curl:1", PROXY_IMAGE)
WEIGHTS = random.Random(7).randbytes(3_000_001)
SUM = hashlib.sha256(WEIGHTS).hexdigest()
VOLUME = "/var/lib/docker/volumes/infctl-models/_data"
HOLD = 'echo "$0" >/said; mkdir -p /www; : >/www/health; exec httpd -f -p "$PORT" -h /www'


def of(uri: str, **more: Any) -> Deployment:
    """Return a replica whose command is told where its model is. `slots` and `spots` are the deployment's."""
    wished = {name: more.pop(name) for name in ("slots", "spots", "revision") if name in more}
    known = {"image": "curl:1", "command": ("sh", "-c", HOLD, "{model}"), "model_uri": uri, **more}
    return wish(template(**known), **wished)


def pinned(**more: Any) -> dict[str, Any]:
    return {"container": {f"model_{name}": value for name, value in more.items()}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    return tmp_path


def rack_of(hosts: HostsOf, root: Path, *makes: Make | str, **more: Any) -> Rack:
    return Rack(root, hosts(*makes or ("current",), loaded=LOADED), **more)


@pytest.fixture
def rack(hosts: HostsOf, folder: Path) -> Iterator[Rack]:
    with closing(rack_of(hosts, folder)) as made:
        yield made


def files(host: DockerHost) -> dict[str, str]:
    """Return the checksum of each file in a host's cache, by its path without the folder named after a checksum."""
    lines = host.sh("sh", "-c", f"cd {VOLUME} && find . -type f -exec sha256sum {{}} +", check=False).splitlines()
    return {line.split()[1].split("/", 2)[2]: line.split()[0] for line in lines}


def carriers(host: DockerHost) -> list[str]:
    return [name for name in host.docker("ps", "-a", "--format", "{{.Names}}").split() if "model" in name]


def told(rack: Rack, host: DockerHost) -> str:
    """Return what {model} was in the replica's command, read where the replica reads."""
    path = host.docker("exec", rack.container(rack.replica()), "cat", "/said").strip()
    return host.docker("exec", rack.container(rack.replica()), "sha256sum", path).split()[0]


def bytes_said(rack: Rack) -> list[Progress]:
    return [word for word in rack.bench.heard if word.phase == "fetch" and word.unit == "B"]


# ---------------------------------------------------------------- file:


@pytest.mark.parametrize("make", ["old", "current"])
def test_a_file_is_copied_once_for_all_replicas_of_a_host(hosts: HostsOf, folder: Path, make: str) -> None:
    with closing(rack_of(hosts, folder, make)) as rack:
        (host,) = rack.hosts
        rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM, slots=(0, 1)))
        assert files(host) == {"tiny.gguf": SUM}
        assert carriers(host) == []
        assert bytes_said(rack)[-1].done == bytes_said(rack)[-1].total == len(WEIGHTS)
        before = len(bytes_said(rack))
        again = rack.provider()  # another run
        rack.bench.provider = again
        rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM, slots=(0, 1, 2), revision=2))
        assert len(bytes_said(rack)) == before


def test_a_folder_is_copied_with_what_lies_below_it(rack: Rack, folder: Path) -> None:
    parts = {"config.json": b"{}", "weights/one of two.bin": WEIGHTS, "weights/empty": b"", "two.bin": WEIGHTS[:70_000]}
    for name, content in parts.items():
        (folder / "chat" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "chat" / name).write_bytes(content)
    (folder / "chat" / ".git").mkdir()
    (folder / "chat" / ".git" / "config").write_text("not a part of the model")
    rack.make_replicas(of("file:chat"))
    seen = rack.hosts[0].docker("exec", rack.container(rack.replica()), "cat", "/said").strip()
    listed = rack.hosts[0].docker("exec", rack.container(rack.replica()), "find", seen, "-type", "f").splitlines()
    assert sorted(path.removeprefix(f"{seen}/") for path in listed) == sorted(parts)
    assert set(files(rack.hosts[0]).values()) == {hashlib.sha256(content).hexdigest() for content in parts.values()}


def test_what_a_cut_link_left_is_continued_not_sent_again(hosts: HostsOf, folder: Path) -> None:
    large = random.Random(8).randbytes(40_000_000)
    (folder / "tiny.gguf").write_bytes(large)
    wanted = of("file:tiny.gguf", model_sha256=hashlib.sha256(large).hexdigest())
    with closing(rack_of(hosts, folder)) as rack:
        (host,) = rack.hosts
        heard = rack.bench.heard

        def cut_when_half() -> None:
            while not any(word.phase == "fetch" and word.done > len(large) / 3 for word in heard):
                time.sleep(0.005)
            host.sh("pkill", "-9", "-f", "sshd:.*root")  # as a cut link looks to the daemon: its client is gone

        host.delay(2)
        cutting = threading.Thread(target=cut_when_half, daemon=True)
        cutting.start()
        with pytest.raises(HostDown):
            rack.make_replicas(wanted)
        cutting.join(10)
        host.heal()
        heard.clear()
        rack.bench.provider = rack.provider()
        rack.make_replicas(wanted)
        assert bytes_said(rack)[0].done > len(large) / 4
        assert told(rack, host) == hashlib.sha256(large).hexdigest()


def test_a_half_file_that_is_wrong_is_sent_anew(rack: Rack) -> None:
    (host,) = rack.hosts
    host.docker("volume", "create", "infctl-models")
    host.sh("mkdir", "-p", f"{VOLUME}/{SUM}")
    host.sh("sh", "-c", f"head -c 2000000 /dev/zero >{VOLUME}/{SUM}/tiny.gguf.part")
    rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
    assert files(host) == {"tiny.gguf": SUM}


def test_a_file_that_is_not_what_was_planned_does_not_count(rack: Rack) -> None:
    with pytest.raises(ProviderError, match="other contents") as said:
        rack.make_replicas(of("file:tiny.gguf", model_sha256="0" * 64))
    assert SUM in said.value.diagnostics[0].detail
    assert "infctl lock" in said.value.diagnostics[0].hint
    assert files(rack.hosts[0]) == {}
    assert carriers(rack.hosts[0]) == []


def test_two_infctl_at_once_bring_a_model_once(rack: Rack, folder: Path) -> None:
    (host,) = rack.hosts
    rack.make_replicas(wish(template(), slots=(2,)))  # the network is there
    other = Rack(folder, (host,))
    wrong: list[Exception] = []

    def make(which: Rack, slot: int) -> None:
        try:
            which.make_replicas(of("file:tiny.gguf", model_sha256=SUM, slots=(slot,)))
        except Exception as failure:  # noqa: BLE001  # told in the main thread
            wrong.append(failure)

    host.delay(5)
    threads = [threading.Thread(target=make, args=(which, n)) for n, which in enumerate((rack, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert not wrong
    assert min(len(bytes_said(rack)), len(bytes_said(other))) <= 2  # one of them sent nothing


def test_a_carrier_that_a_killed_run_left_is_taken_over(rack: Rack) -> None:
    (host,) = rack.hosts
    name = f"infctl-model-{SUM[:32]}"
    host.docker("create", "--name", name, "--label", "infctl.copies=copy", "busybox:1", "true")
    host.docker("start", name)
    rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
    assert files(host) == {"tiny.gguf": SUM}
    assert carriers(host) == []


def test_a_full_disk_is_said_before_a_byte_is_sent(hosts: HostsOf, folder: Path) -> None:
    large = folder / "large.gguf"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    with closing(rack_of(hosts, folder, Make("current", disk_mb=400))) as rack:
        with pytest.raises(ProviderError, match="is full") as said:
            rack.make_replicas(of("file:large.gguf", model_sha256="1" * 64))
        assert "3.0 GiB of large.gguf are missing" in said.value.diagnostics[0].detail
        assert not any(word.done for word in bytes_said(rack))


def test_a_host_without_a_shell_gets_files_too(hosts: HostsOf, folder: Path, bed: Any) -> None:
    (host,) = hosts(Make("current", tcp="tls"), loaded=LOADED)
    with closing(Rack(folder, (host,))) as rack:
        named = [{"url": host.tcp_url, "name": host.name, "tls": str(bed.authority.folder)}]
        rack.config = type(rack.config).model_validate({"hosts": named, "proxy": {"image": PROXY_IMAGE}})
        rack.bench.provider = rack.provider()
        rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
        assert files(host) == {"tiny.gguf": SUM}
