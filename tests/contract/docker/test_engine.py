"""A real engine in a container: image pulled by digest, model brought there, tokens out of it; secrets, logs."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.testbench import LOUD
from infctl.provider.values import Deployment, Do, Probe
from infctl.secrets import SecretRef
from infctl_docker.hosts import Host
from infctl_docker.kinds import CONTAINER
from tests.contract.docker.rack import IMAGES, SERVE, Rack, template, wish
from tests.testbed.plugin import HostsOf
from tests.testbed.registry import Registry
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("docker")

ANYWHERE = "0.0.0.0"  # noqa: S104  # of the container
LLAMA = (*("--model", "{model}", "--host", ANYWHERE, "--port", "{port}", "--alias", "tiny"), "-c", "256", "-np", "1")
READ_ONLY = {"arguments_only": True, "read_only": True, "tmpfs": ("/tmp",)}  # noqa: S108


def llama(image: str, **more: Any) -> Deployment:
    known: dict[str, Any] = {
        "engine": "llama.cpp", "image": image, "model_uri": "file:tiny.gguf", "task": "generate", "command": LLAMA,
        "container": READ_ONLY, "memory": 200_000_000, "probe": Probe("completions", "/v1/completions", "tiny"),
    }  # fmt: skip
    return wish(template(**{**known, **more}))


@pytest.fixture(params=["old", "current"])
def rack(hosts: HostsOf, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rack]:
    write_tiny_gguf(tmp_path / "tiny.gguf", context_length=512)
    with closing(Rack(tmp_path, hosts(request.param, loaded=IMAGES))) as made:
        yield made


def reached(rack: Rack) -> Host:
    return Host(rack.config.hosts[0])


def complete(rack: Rack) -> Any:
    """Ask the replica for some tokens through its host."""
    port = int(rack.replica().outputs["endpoint"].rpartition(":")[2])
    with closing(reached(rack)) as host:
        asked = http.client.HTTPConnection("engine")
        asked.sock = host.dial(port)
        asked.request(
            "POST",
            "/v1/completions",
            json.dumps({"prompt": "Once", "max_tokens": 4}),
            {"Content-Type": "application/json"},
        )
        return json.loads(asked.getresponse().read())


def test_an_engine_is_pulled_by_digest_and_answers_from_a_model_that_is_brought_once(
    rack: Rack, registry: Registry
) -> None:
    for host in rack.hosts:  # what another test left there need not be pulled
        left = host.docker("images", "-q", "--filter", "reference=llama", "--filter", "reference=*/llama").split()
        if left:
            host.docker("rmi", "-f", *sorted(set(left)))
    image = registry.push("llama:1")
    checksum = hashlib.sha256((rack.context.root / "tiny.gguf").read_bytes()).hexdigest()
    rack.make_replicas(llama(image, model_sha256=checksum))
    assert rack.bench.wait(rack.replica()).ready
    assert complete(rack)["usage"]["completion_tokens"] == 4
    said = rack.bench.heard
    assert {word.phase for word in said} >= {"pull", "fetch", "start"}
    assert any(
        word.phase in {"pull", "unpack"} and 0 < word.done <= word.total and word.unit == "bytes" for word in said
    ), said
    size = (rack.context.root / "tiny.gguf").stat().st_size
    assert any((word.phase, word.done, word.total) == ("fetch", size, size) for word in said)
    said.clear()
    rack.make_replicas(replace(llama(image, model_sha256=checksum, env={"A": "1"}), revision=2))
    assert {word.phase for word in said} == {"start"}  # image and model are there
    (first, _) = [seen for seen in rack.observe() if seen.address.kind == CONTAINER]
    assert first.values["image"] == image


def test_a_tag_stands_for_the_digest_that_its_registry_has(rack: Rack, registry: Registry) -> None:
    provider = rack.provider()
    pinned = registry.push("busybox:1", "library/moving:1")
    tag = f"{registry.address}/library/moving:1"
    assert provider.resolve_image(tag) == pinned
    moved = registry.push("haproxy:3.0", "library/moving:1")
    assert provider.resolve_image(tag) == moved != pinned
    assert provider.resolve_image(pinned) == pinned
    found = provider.resolve_image("busybox:1")  # no registry has it
    assert found.startswith("busybox@sha256:")
    rack.make_replicas(wish(template(image=found)))
    assert rack.bench.wait(rack.replica()).ready
    assert rack.replica().values["image"] == found
    with pytest.raises(ProviderError, match="cannot be found"):
        provider.resolve_image(f"{registry.address}/library/none:1")


def test_images_come_from_a_mirror_and_with_a_login(hosts: HostsOf, private_registry: Registry, tmp_path: Path) -> None:
    private_registry.push("busybox:1", "library/tool:1")
    pinned = private_registry.push("busybox:1", "library/tool:2").replace(private_registry.address, "docker.io")
    (host,) = hosts("current", loaded=())
    more = {"image_mirror": {"docker.io": private_registry.address}}
    with (
        closing(Rack(tmp_path, (host,), **more)) as rack,
        pytest.raises(ProviderError, match="cannot pull") as said,
    ):
        rack.make_replicas(wish(template(image=pinned)))
    assert "registry_auth" in said.value.diagnostics[0].hint
    login = {"registry_auth": {private_registry.address: "secret://login"}}
    with closing(Rack(tmp_path, (host,), **more, **login)) as rack:
        rack.make_replicas(wish(template(image=pinned)))
        assert rack.replica().values["image"] == pinned
        assert rack.bench.wait(rack.replica()).ready
        everything = host.docker("inspect", rack.container(rack.replica())) + repr(rack.bench.heard)
        assert "open sesame" not in everything


@pytest.mark.parametrize("container", [{}, {"read_only": True, "tmpfs": ("/www",)}], ids=["writable", "read-only"])
def test_secrets_are_files_that_the_engine_can_read_and_nothing_else(rack: Rack, container: dict[str, Any]) -> None:
    refs = {"TOKEN": SecretRef("kit", "file"), "KEY": SecretRef("kit", "env")}
    made = rack.make_replicas(wish(template(env=dict(refs), container=container)))
    host, seen = rack.hosts[0], rack.replica()
    ident = rack.container(seen)
    assert host.docker("exec", ident, "cat", "/run/secrets/TOKEN") == LOUD
    assert host.docker("exec", ident, "stat", "-c", "%a %u", "/run/secrets/TOKEN").strip() == "600 0"
    variables = host.docker("exec", ident, "env").splitlines()
    assert {"TOKEN_FILE=/run/secrets/TOKEN", f"KEY={LOUD}"} <= set(variables)
    told = host.docker("inspect", "-f", "{{json .Config.Labels}}{{json .HostConfig}}{{json .Args}}", ident)
    assert LOUD not in told + repr(seen) + repr(rack.bench.heard)
    (change,) = [one for one in made.values() if one.address.kind == CONTAINER]
    rack.bench.provider.apply(replace(change, do=Do.DELETE, after=None), rack.bench.heard.append)
    assert host.docker("volume", "ls", "-q") == ""  # the nameless one with the secret went along


def test_logs_are_followed_until_the_replica_ends(rack: Rack) -> None:
    say = 'trap "echo last; exit 0" TERM; ' + SERVE.replace("exec httpd", "httpd") + " & wait"
    made = rack.make_replicas(wish(template(command=("sh", "-c", say))))
    seen = rack.replica()
    assert rack.bench.wait(seen).ready
    provider = rack.provider()
    lines = provider.logs(seen, tail=10, follow=True)
    assert list(islice(lines, 1)) == ["serving on 8000"]
    assert list(provider.logs(seen, tail=10, follow=False)) == ["serving on 8000"]
    (change,) = [one for one in made.values() if one.address.kind == CONTAINER]
    rack.bench.do(replace(change, do=Do.STOP, after=None))
    assert list(lines) == ["last"]
    rack.bench.do(replace(change, do=Do.DELETE, after=None))
    assert list(provider.logs(seen, tail=10, follow=False)) == ["serving on 8000", "last"]  # they are kept
    assert list(provider.logs(seen, tail=1, follow=False)) == ["last"]
