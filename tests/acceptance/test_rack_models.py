"""A model of a hub on a real Docker host: pinned, fetched by the host, served, followed when it moves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.acceptance.test_rack import complete, infctl
from tests.testbed.hub import Hub
from tests.testbed.plugin import HostsOf
from tests.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.xdist_group("docker")


def test_a_model_of_a_hub_is_pinned_fetched_and_served(
    hosts: HostsOf, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host,) = hosts("current", loaded=("llama:1", "haproxy:3.0"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    write_tiny_gguf(tmp_path / "tiny.gguf", context_length=512)
    first = hub.put("acme/tiny-GGUF", {"tiny-q8_0.gguf": (tmp_path / "tiny.gguf").read_bytes(), "README.md": b"tiny"})
    infctl(tmp_path, "init", "-stack", "rack")
    stack = tmp_path / "inference.yaml"
    stack.write_text(re.sub(r"uri: \S+", "uri: hf://acme/tiny-GGUF", stack.read_text()))
    values = {"hosts": [host.url], "image": "llama:1", "proxy": "haproxy:3.0"}
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(values))
    infctl(tmp_path, "apply", "-auto-approve", "-var-file", "lab.yaml")
    assert first in (tmp_path / "inference.lock.yaml").read_text()
    assert complete(host, infctl(tmp_path, "output", "-raw", "chat.url").strip()).strip()
    hub.put("acme/tiny-GGUF", {"other.gguf": b"moved on"})
    assert "No changes." in infctl(tmp_path, "plan", "-detailed-exitcode", "-var-file", "lab.yaml")
    infctl(tmp_path, "destroy", "-auto-approve", "-var-file", "lab.yaml")
    assert host.docker("volume", "ls", "-q", "--filter", "name=infctl-models").strip() == "infctl-models"
