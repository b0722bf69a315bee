"""Model files on their way to hosts: each scheme, once for a host, continued after a cut, checked before it counts."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl.desired.remote import look
from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Do, Progress, Spot
from infctl_docker.carrier import sweep
from infctl_docker.errors import HostDown
from infctl_docker.hosts import Host
from infctl_docker.kinds import CONTAINER
from tests.contract.docker.rack import PROXY_IMAGE, Rack, template, wish
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.hub import Asked, Hub
from tests.testbed.plugin import HostsOf
from tests.testbed.store import Store

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
    return [word for word in rack.bench.heard if word.phase == "fetch" and word.unit == "bytes"]


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


def test_what_killed_runs_left_of_other_models_is_removed_once_it_is_old(rack: Rack) -> None:
    (host,) = rack.hosts
    for name in ("infctl-model-a", "infctl-model-b"):
        host.docker("run", "--name", name, "--label", "infctl.copies=copy", "busybox:1", "true")
    with closing(Host(rack.config.hosts[0])) as reached:
        sweep(reached, time.time() + 60)
        assert carriers(host) == ["infctl-model-b", "infctl-model-a"]
        sweep(reached, time.time() + 3_700)
    assert carriers(host) == []


def test_doctor_tells_what_lies_there_and_who_uses_it(rack: Rack) -> None:
    made = rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
    (said,) = [one.detail for one in rack.provider().check() if "infctl-models" in one.what]
    assert said == "0.0 GiB, used by 1 container"
    (change,) = [one for one in made.values() if one.address.kind == CONTAINER]
    rack.bench.do(replace(change, do=Do.DELETE, after=None))
    (said,) = [one.detail for one in rack.provider().check() if "infctl-models" in one.what]
    assert said == "0.0 GiB, used by nobody"


def test_a_full_disk_is_said_before_a_byte_is_sent(hosts: HostsOf, folder: Path) -> None:
    large = folder / "large.gguf"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    with closing(rack_of(hosts, folder, Make("current", disk_mb=400))) as rack:
        with pytest.raises(ProviderError, match="is full") as said:
            rack.make_replicas(of("file:large.gguf", model_sha256="1" * 64))
        assert "3.0 GiB of large.gguf are missing" in said.value.diagnostics[0].detail
        assert not any(word.done for word in bytes_said(rack))


def test_a_host_without_a_shell_gets_files_too(hosts: HostsOf, folder: Path, bed: Bed) -> None:
    (host,) = hosts(Make("current", tcp="tls"), loaded=LOADED)
    with closing(Rack(folder, (host,))) as rack:
        named = [{"url": host.tcp_url, "name": host.name, "tls": str(bed.authority.folder)}]
        rack.config = type(rack.config).model_validate({"hosts": named, "proxy": {"image": PROXY_IMAGE}})
        rack.bench.provider = rack.provider()
        rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
        assert files(host) == {"tiny.gguf": SUM}


def test_what_the_hosts_have_already_is_mounted_and_cannot_be_written_to(hosts: HostsOf, folder: Path) -> None:
    with closing(rack_of(hosts, folder, model_folders={".": "/srv/models"})) as rack:
        (host,) = rack.hosts
        with pytest.raises(ProviderError) as said:
            rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
        assert "model_folders" in said.value.diagnostics[0].hint
        host.sh("mkdir", "-p", "/srv/models")
        host.sh("sh", "-c", "cat >/srv/models/tiny.gguf", given=WEIGHTS)
        rack.make_replicas(of("file:tiny.gguf", model_sha256=SUM))
        assert told(rack, host) == SUM
        assert "infctl-models" not in host.docker("volume", "ls", "-q")
        mount = json.loads(host.docker("inspect", "-f", "{{json .Mounts}}", rack.container(rack.replica())))[0]
        assert (mount["Source"], mount["RW"]) == ("/srv/models", False)
        assert dict(rack.replica().values["mounts"]) == {"/models": "/srv/models:ro"}


# ---------------------------------------------------------------- http(s):// and hf://


@pytest.fixture
def hub_is(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return hub


def in_hub(hub: Hub, token: str = "", **more: Any) -> Deployment:
    commit = hub.put("acme/tiny", {"tiny.gguf": WEIGHTS}, token)
    known = {"model_sha256": SUM, **pinned(revision=commit, bytes=len(WEIGHTS)), **more}
    return of("hf://acme/tiny/tiny.gguf", **known)


def downloads(hub: Hub) -> list[Asked]:
    return [asked for asked in hub.asked if asked.method == "GET" and asked.path.startswith("/stored/")]


@pytest.mark.parametrize("make", ["old", "current"])
def test_a_host_fetches_a_file_of_the_hub_once(hosts: HostsOf, folder: Path, hub_is: Hub, make: str) -> None:
    with closing(rack_of(hosts, folder, make)) as rack:
        hub_is.bytes_per_second = 2_000_000
        rack.make_replicas(replace(in_hub(hub_is), slots=(0, 1)))
        assert files(rack.hosts[0]) == {"tiny.gguf": SUM}
        assert len(downloads(hub_is)) == 1
        assert any(0 < word.done < word.total == len(WEIGHTS) for word in bytes_said(rack))


def test_each_host_fetches_its_own(hosts: HostsOf, folder: Path, hub_is: Hub) -> None:
    with closing(rack_of(hosts, folder, "old", "current")) as rack:
        spots = tuple(Spot(host.name) for host in rack.hosts)
        rack.make_replicas(replace(in_hub(hub_is), slots=(0, 1), spots=spots))
        assert [files(host) for host in rack.hosts] == [{"tiny.gguf": SUM}] * 2
        assert len(downloads(hub_is)) == 2


def test_a_download_that_breaks_off_goes_on_where_it_stopped(rack: Rack, hub_is: Hub) -> None:
    hub_is.cut_after = 1_200_000
    rack.make_replicas(in_hub(hub_is))
    assert files(rack.hosts[0]) == {"tiny.gguf": SUM}
    assert [asked.range for asked in downloads(hub_is)] == ["", "bytes=1200000-", "bytes=2400000-"]


def test_what_takes_longer_than_it_may_is_left_for_the_next_apply(rack: Rack, hub_is: Hub) -> None:
    rack.make_replicas(wish(template(), slots=(2,)))
    hub_is.bytes_per_second = 300_000
    wanted = next(want for want in rack.bench.lower(in_hub(hub_is)) if want.address.kind == CONTAINER)
    late = replace(rack.change(Do.CREATE, wanted), timeout=3.0)
    with pytest.raises(ProviderError, match="within 3 s") as said:
        rack.bench.do(late)
    assert "timeouts: {pull" in said.value.diagnostics[0].hint
    assert carriers(rack.hosts[0]) == []
    hub_is.bytes_per_second = 0
    rack.bench.do(replace(late, timeout=0.0))
    assert downloads(hub_is)[-1].range.startswith("bytes=")
    assert files(rack.hosts[0]) == {"tiny.gguf": SUM}


def test_what_came_damaged_does_not_count(rack: Rack, hub_is: Hub) -> None:
    hub_is.wrong = True
    with pytest.raises(ProviderError, match="other contents"):
        rack.make_replicas(in_hub(hub_is))
    assert files(rack.hosts[0]) == {}
    hub_is.wrong = False
    rack.make_replicas(in_hub(hub_is))
    assert files(rack.hosts[0]) == {"tiny.gguf": SUM}


def test_a_fetch_whose_run_was_killed_goes_on_and_is_found(rack: Rack, hub_is: Hub, folder: Path) -> None:
    """The second infctl finds the first one's carrier at work, and follows it."""
    (host,) = rack.hosts
    hub_is.bytes_per_second = 600_000
    rack.make_replicas(wish(template(), slots=(2,)))
    killed = threading.Thread(target=lambda: rack.make_replicas(in_hub(hub_is)), daemon=True)
    killed.start()
    while not carriers(host):
        time.sleep(0.05)
    other = Rack(folder, (host,))
    other.make_replicas(replace(in_hub(hub_is), slots=(1,)))
    killed.join(20)
    other.close()
    assert len(downloads(hub_is)) == 1
    assert any(word.done for word in bytes_said(other))


def test_a_gated_file_needs_the_token_and_nobody_sees_it(
    rack: Rack, hub_is: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = rack.hosts
    with pytest.raises(ProviderError, match="cannot fetch") as said:
        rack.make_replicas(in_hub(hub_is, token="hf_right"))
    assert "401" in said.value.diagnostics[0].detail
    assert "HF_TOKEN" in said.value.diagnostics[0].hint
    hub_is.bytes_per_second = 600_000
    seen: list[str] = []

    def spy() -> None:
        while not downloads(hub_is):
            time.sleep(0.02)
        seen.append(host.sh("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"))
        seen.extend(host.docker("inspect", name) for name in carriers(host))

    watching = threading.Thread(target=spy, daemon=True)
    watching.start()
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    rack.make_replicas(in_hub(hub_is, token="hf_right"))
    watching.join(10)
    assert len(seen) == 2
    assert "curl" in seen[0]
    assert "hf_right" not in "".join(seen) + repr(rack.bench.heard)


def test_a_file_of_a_server_that_has_no_checksum_is_known_by_its_etag(rack: Rack, hub: Hub) -> None:
    hub.put("acme/tiny", {"tiny.gguf": WEIGHTS})
    uri = f"{hub.url}/acme/tiny/resolve/main/tiny.gguf"
    rack.make_replicas(of(uri, **pinned(revision=SUM, bytes=len(WEIGHTS))))
    assert told(rack, rack.hosts[0]) == SUM
    hub.put("acme/tiny", {"tiny.gguf": WEIGHTS[:-1] + b"!"})
    with pytest.raises(ProviderError, match="has changed") as said:
        rack.make_replicas(of(uri, **pinned(revision=f"{SUM[:-1]}x", bytes=len(WEIGHTS)), revision=2))
    assert "infctl lock" in said.value.diagnostics[0].hint


def test_an_image_without_curl_fetches_what_has_a_checksum(rack: Rack, hub: Hub) -> None:
    hub.put("acme/tiny", {"tiny.gguf": WEIGHTS})
    uri = f"{hub.url}/acme/tiny/resolve/main/tiny.gguf"
    known = {"image": "busybox:1", **pinned(revision=SUM, bytes=len(WEIGHTS))}
    with pytest.raises(ProviderError, match="nothing to fetch") as said:
        rack.make_replicas(of(uri, **known))
    assert "curl" in said.value.diagnostics[0].hint
    rack.make_replicas(of(f"{uri}#sha256={SUM}", model_sha256=SUM, **known))
    assert files(rack.hosts[0]) == {"tiny.gguf": SUM}


@pytest.mark.parametrize(
    ("path", "said"), [("/acme/none/resolve/main/x", "401"), ("/acme/tiny/resolve/main/y", "404: it is not there")]
)
def test_a_server_that_refuses_is_quoted(rack: Rack, hub: Hub, path: str, said: str) -> None:
    hub.put("acme/tiny", {"x": b"x"})
    with pytest.raises(ProviderError, match="cannot fetch") as refused:
        rack.make_replicas(of(f"{hub.url}{path}", **pinned(revision="e")))
    assert said in refused.value.diagnostics[0].detail


def test_models_come_from_a_mirror(hosts: HostsOf, folder: Path, hub: Hub) -> None:
    mirrors = {"model_mirror": {"hf": hub.url, "https://files.example": f"{hub.url}/acme"}}
    with closing(rack_of(hosts, folder, **mirrors)) as rack:
        rack.make_replicas(in_hub(hub))
        hub.put("acme/tiny", {"other.gguf": WEIGHTS[1:]})
        rack.make_replicas(of("https://files.example/tiny/resolve/main/other.gguf", **pinned(revision="e"), revision=2))
        assert files(rack.hosts[0]) == {
            "tiny.gguf": SUM, "other.gguf": hashlib.sha256(WEIGHTS[1:]).hexdigest(),
        }  # fmt: skip


# ---------------------------------------------------------------- folders: s3:// and repositories of the hub

PARTS = {"config.json": b"{}", "parts/one.safetensors": WEIGHTS, "empty.txt": b""}


def shown(host: DockerHost, rack: Rack) -> dict[str, str]:
    """Return the checksum of each file of the model, as the replica sees it."""
    ident = rack.container(rack.replica())
    folder = host.docker("exec", ident, "cat", "/said").strip()
    lines = host.docker("exec", ident, "sh", "-c", 'cd "$1" && find . -type f -exec sha256sum {} +', "sh", folder)
    return {line.split()[1].removeprefix("./"): line.split()[0] for line in lines.splitlines()}


def sums(parts: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}


@pytest.fixture
def store(_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in _store.env.items():
        monkeypatch.setenv(name, value)
    return _store


@pytest.fixture(scope="module")
def _store(bed: Bed) -> Store:
    return Store(bed)


def test_a_folder_of_a_store_is_fetched_and_its_signature_stays_secret(rack: Rack, store: Store) -> None:
    (host,) = rack.hosts
    store.put({f"chat/{name}": content for name, content in PARTS.items()})
    seen = look("s3://models/chat", one_file=False, quantization="auto", env=os.environ)
    rack.make_replicas(of("s3://models/chat", engine="vllm", **pinned(revision=seen.revision, bytes=seen.bytes)))
    assert shown(host, rack) == sums(PARTS)
    everything = repr(rack.bench.heard) + host.docker("inspect", rack.container(rack.replica()))
    assert store.env["AWS_ACCESS_KEY_ID"] not in everything
    store.put({f"chat/{name}": content for name, content in {**PARTS, "config.json": b"[]"}.items()})
    with pytest.raises(ProviderError, match="has changed") as said:
        rack.make_replicas(of("s3://models/chat", engine="vllm", **pinned(revision=seen.revision), revision=2))
    assert "infctl lock" in said.value.diagnostics[0].hint


def test_one_file_of_a_store_is_fetched(rack: Rack, store: Store) -> None:
    store.put({"chat/tiny.gguf": WEIGHTS})
    seen = look("s3://models/chat/tiny.gguf", one_file=True, quantization="auto", env=os.environ)
    known = pinned(revision=seen.revision, bytes=seen.bytes)
    rack.make_replicas(of("s3://models/chat/tiny.gguf", engine="llama.cpp", **known))
    assert files(rack.hosts[0]) == {"tiny.gguf": SUM}


def test_a_repository_is_fetched_for_an_engine_that_cannot(rack: Rack, hub_is: Hub) -> None:
    commit = hub_is.put("acme/chat", PARTS)
    rack.make_replicas(of("hf://acme/chat", **pinned(revision=commit)))
    assert shown(rack.hosts[0], rack) == sums(PARTS)
