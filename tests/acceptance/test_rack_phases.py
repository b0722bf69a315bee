"""What is told while a rack is read and a model comes to it: each phase with its host, and bytes of how many bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.stack import Stack
from tests.testbed import images
from tests.testbed.hub import Hub
from tests.testbed.plugin import HostsOf
from tests.testbed.registry import Registry
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("docker")


def test_each_phase_is_told_with_its_host_as_events_and_as_lines(
    hosts: HostsOf, hub: Hub, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = hosts("current", loaded=())
    host.docker("image", "prune", "-af")  # layers that are there are not pulled
    host.load(images.archive("haproxy:3.0"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    write_tiny_gguf(tmp_path / "tiny.gguf", context_length=512)
    hub.put("acme/tiny-GGUF", {"tiny-q8_0.gguf": (tmp_path / "tiny.gguf").read_bytes()})
    image = registry.push("llama:1", "ggml/llama:1").partition("@")[0] + ":1"
    stack = Stack(tmp_path)
    stack.infctl("init", "-stack", "rack")
    file = tmp_path / "inference.yaml"
    text = re.sub(r"uri: \S+", "uri: hf://acme/tiny-GGUF", file.read_text()).replace("replicas: 2", "replicas: 1")
    file.write_text(text)
    values = {"hosts": [{"url": host.url, "name": "gpu-01"}], "image": image, "proxy": "haproxy:3.0"}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(values))
    given = ("-auto-approve", "-var-file", "lab.yaml")
    said = stack.infctl("apply", *given, "-json-into", "events.json")
    events = [json.loads(line) for line in (tmp_path / "events.json").read_text().splitlines()]

    looked = [event["infctl"] for event in events if event["type"] == "refresh_progress"]
    assert [(one["place"], one["phase"]) for one in looked] == [
        ("gpu-01", "connect"), ("gpu-01", "read"), ("gpu-01", "done"),
    ]  # fmt: skip
    started = [event["infctl"] for event in events if "hook" in event]
    replica: list[dict[str, Any]] = [one for one in started if one["address"] == 'docker_container.chat["rack/0"]']
    assert {one["place"] for one in replica} == {"gpu-01"}
    phases = list(dict.fromkeys(one["phase"] for one in replica if "phase" in one))
    assert [phase for phase in phases if phase != "unpack"] == ["pull", "fetch", "start", "load", "ready"]
    for phase, least in (({"pull", "unpack"}, 10_000_000), ({"fetch"}, 100_000)):
        amounts = [one for one in replica if one.get("phase") in phase and one.get("unit") == "bytes"]
        assert amounts
        assert all(one["total"] >= least >= 0 <= one["done"] <= one["total"] for one in amounts)

    lines = [line.split("rack/0 gpu-01 ", 1)[1].strip() for line in said.splitlines() if "rack/0 gpu-01 " in line]
    told = " | ".join(lines)
    in_order = (
        r"starting", r"pull: \S+ggml/llama@sha256", r"(pull|unpack) [\d.]+ \w+ of \d[\d.]+ MiB: \S+ggml/llama",
        r"fetch [\d.]+ \w+ of [\d.]+ \w+: tiny-q8_0.gguf", r"start\b", r"load: waiting for an answer", r"answers",
    )  # fmt: skip
    assert re.search(".* ".join(in_order), told), told
    stack.infctl("destroy", *given)
