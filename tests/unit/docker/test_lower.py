"""What is wanted of a rack, in Docker's resources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.values import Deployment, Probe, Share, Spot, TargetWant, Template
from infctl_docker.kinds import CONTAINER
from infctl_docker.lower import HEADROOM, SHARED_MEMORY, House, health_path, lower
from infctl_docker.model_folders import find_mounted

TEMPLATE = Template("llama.cpp", "1", "file:a.gguf", "ab", "generate", "llama@sha256:0", memory=100 << 20)
HOSTS = ("h1", "h2")


def one(**more: Any) -> dict[str, Any]:
    wish = Deployment("chat", 1, replace(TEMPLATE, **more), (0,), ("chat",), spots=(Spot("h2"),))
    (found,) = [
        want for want in lower(TargetWant("rack", (wish,)), House(HOSTS, "cache")) if want.address.kind == CONTAINER
    ]
    return dict(found.values)


def test_there_is_a_network_per_host_and_a_container_per_slot_where_its_spot_is() -> None:
    spots = (Spot("h2", (Share("GPU-1", 5),)), Spot("h1"))
    wish = Deployment("chat", 2, TEMPLATE, (0, 3), ("chat",), spots=spots)
    wants = lower(TargetWant("rack", (wish,)), House(HOSTS, "cache"))
    assert [str(want.address) for want in wants] == [
        'docker_network.rack["h1"]', 'docker_network.rack["h2"]',
        'docker_container.chat["rack/0"]', 'docker_container.chat["rack/3"]',
    ]  # fmt: skip
    first, second = wants[2:]
    assert (first.values["host"], first.values["devices"]) == ("h2", (("GPU-1", 5),))
    assert (second.values["host"], second.values["devices"]) == ("h1", ())
    assert str(first.values["network"].address) == 'docker_network.rack["h2"]'
    assert (first.revision, first.spec_hash) == (2, wish.spec_hash)
    assert lower(TargetWant("rack"), House(HOSTS, "cache")) == ()


def test_memory_is_limited_where_it_is_the_host_s() -> None:
    assert (one()["memory"], one()["memory_limit"]) == (100 << 20, HEADROOM * 100 << 20)
    assert (one(memory=1)["memory"], one(memory=1)["memory_limit"]) == (1, 64 << 20)
    assert (one(memory=0)["memory"], one(memory=0)["memory_limit"]) == (0, 0)
    assert (one(gpus=1)["memory"], one(gpus=1)["memory_limit"]) == (0, 0)


def test_engines_on_gpus_get_shared_memory_unless_they_say_how_much() -> None:
    assert one()["sandbox"] == {}
    assert one(gpus=2)["sandbox"] == {"shm_size": SHARED_MEMORY}
    assert one(gpus=2, container={"shm_size": 5, "caps": ["A"]})["sandbox"] == {"shm_size": 5, "caps": ("A",)}


def test_files_come_in_a_volume_that_cannot_be_written_to_and_downloads_in_one_that_can() -> None:
    assert one()["mounts"] == {"/models": "infctl-models:ro"}
    assert one(model_uri="")["mounts"] == {}
    assert one(model_uri="hf://a/b", container={"download": True, "cache": "/c"})["mounts"] == {"/c": "cache"}


@pytest.mark.parametrize(
    ("engine", "probe", "path"),
    [
        ("vllm", Probe("completions", "/v1/completions"), "/health"),
        ("custom", Probe("completions", "/v1/completions"), "/v1/models"),
        ("custom", Probe("http", "/up"), "/up"),
    ],
)
def test_health_is_asked_without_a_model(engine: str, probe: Probe, path: str) -> None:
    assert health_path(replace(TEMPLATE, engine=engine, probe=probe)) == path


def test_a_mirror_of_the_hub_is_told_to_engines_that_download_themselves() -> None:
    house = House(HOSTS, "cache", hub="https://hub.example")
    told = {}
    for download in (True, False):
        container = {"env": {"A": "1"}, **({"download": True} if download else {})}
        made = Template("vllm", "", "hf://a/b", "", "generate", container=container)
        wish = Deployment("chat", 1, made, (0,), ("chat",), spots=(Spot("h2"),))
        want = next(want for want in lower(TargetWant("rack", (wish,)), house) if want.address.kind == CONTAINER)
        told[download] = want.values["sandbox"]["env"]
    assert told == {True: {"A": "1", "HF_ENDPOINT": "https://hub.example"}, False: {"A": "1"}}


@pytest.mark.parametrize(
    ("uri", "folder", "path"),
    [
        ("file:/data/models/chat", "/srv/models", "/models/chat"),
        ("file:../models/a/b.gguf", "/srv/models", "/models/a/b.gguf"),
        ("file:/data/models/big/x.gguf", "/mnt/big", "/models/x.gguf"),
        ("file:/data/models-of-others/x.gguf", None, None),
        ("file:tiny.gguf", None, None),
        ("hf://data/models", None, None),
    ],
)
def test_models_below_a_folder_that_hosts_have_are_found_there(uri: str, folder: str, path: str) -> None:
    folders = {"/data/models": "/srv/models", "/data/models/big": "/mnt/big"}
    found = find_mounted(uri, Path("/data/stack"), folders)
    assert (found and found.folder, found and found.path) == (folder, path)
