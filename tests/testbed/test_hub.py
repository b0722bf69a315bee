"""The small hub of the bed, asked as a client of the real one asks."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

import pytest

from infctl.desired.hub_facts import read_repository
from tests.testbed.hub import Hub
from tests.testbed.plugin import HostsOf
from tests.tiny_safetensors import LLAMA, llama_tensors, safetensors

pytestmark = pytest.mark.xdist_group("testbed")
WEIGHTS = bytes(range(256)) * 1000


def ask(url: str, **headers: str) -> http.client.HTTPResponse:
    answer: http.client.HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5)
    return answer


def test_a_file_is_described_and_fetched_in_parts(hub: Hub) -> None:
    commit = hub.put("acme/tiny", {"model.gguf": WEIGHTS, "config.json": b"{}"})
    described = json.load(ask(f"{hub.url}/api/models/acme/tiny/revision/main?blobs=true"))
    assert described["sha"] == commit
    assert described["siblings"][0]["lfs"]["size"] == len(WEIGHTS)
    rest = ask(f"{hub.url}/acme/tiny/resolve/{commit}/model.gguf", Range="bytes=1000-")
    assert (rest.status, rest.read()) == (206, WEIGHTS[1000:])


def test_a_gated_repository_wants_its_token(hub: Hub) -> None:
    hub.put("acme/secret", {"config.json": b"{}"}, token="hf_right")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(f"{hub.url}/acme/secret/resolve/main/config.json")
    assert ask(f"{hub.url}/acme/secret/resolve/main/config.json", Authorization="Bearer hf_right").read() == b"{}"


def test_what_a_model_is_is_read_from_headers_alone(hub: Hub) -> None:
    weights = safetensors(llama_tensors()) + bytes(500_000)
    hub.put("acme/tiny", {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": weights}, token="hf_right")
    found = read_repository("hf://acme/tiny", {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_right"})
    assert (found.config, set(found.tensors)) == (LLAMA, set(llama_tensors()))
    assert all(each.range for each in hub.asked if "resolve" in each.path or "stored" in each.path)
    assert {each.token for each in hub.asked if "/stored/" in each.path} == {""}


def test_a_download_breaks_off(hub: Hub) -> None:
    hub.put("acme/tiny", {"model.gguf": WEIGHTS})
    hub.cut_after = 1000
    with pytest.raises(http.client.IncompleteRead):
        ask(f"{hub.url}/acme/tiny/resolve/main/model.gguf").read()


def test_a_container_on_a_host_reaches_it(hub: Hub, hosts: HostsOf) -> None:
    (host,) = hosts("old")
    hub.put("acme/tiny", {"config.json": b"{}"})
    url = f"{hub.url}/acme/tiny/resolve/main/config.json"
    assert host.docker("run", "--rm", "busybox:1", "wget", "-q", "-O-", url) == "{}"
