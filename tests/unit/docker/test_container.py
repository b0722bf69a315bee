"""Values to the body of a create, and an inspect back to values: what goes round comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from infctl.address import Address, parse_address
from infctl.provider.values import Change, Deployment, Do, Labels, Probe, Share, Spot, TargetWant, Template
from infctl.secrets import Secret, SecretRef
from infctl_docker.container import Made, body, command, environment, part_of, secret_files, update
from infctl_docker.kinds import CONTAINER, KINDS
from infctl_docker.labels import read_labels, write_labels
from infctl_docker.lower import House, lower
from infctl_docker.sighting import adopted, observed

MADE = Made("mirror.example/llama@sha256:0a", 21_034, ("/bin/server",), ("--help",), "/models/ab/tiny.gguf")
GPU = {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["GPU-1"], "Capabilities": [["gpu"]]}]}
SECRETS = {
    "TOKEN": Secret("canary-file", SecretRef("t", "file", "d1")),
    "KEY": Secret("canary-env", SecretRef("k", "env", "d2")),
}
REFS = {name: secret.ref for name, secret in SECRETS.items()}
NEEDS = {
    "arguments_only": True, "read_only": True, "tmpfs": ["/scratch"], "cache": "/root/.cache", "caps": ["SYS_NICE"],
    "env": {"HF_HOME": "/root/.cache"}, "shm_size": 1 << 30,
}  # fmt: skip
FULL: dict[str, Any] = {
    "engine": "vllm", "engine_version": "0.33.0", "model_uri": "file:tiny.gguf", "model_sha256": "ab",
    "task": "generate", "image": "llama@sha256:0a", "args": {"ctx": 1}, "env": {"COLOUR": "red", **REFS},
    "command": ("--model", "{model}", "--port", "{port}", "--share={gpu_share}"), "memory": 100_000_000,
    "probe": Probe("completions", "/v1/completions", "tiny", 2), "container": NEEDS,
}  # fmt: skip


def values_of(*, devices: tuple[Share, ...] = (), **more: Any) -> dict[str, Any]:
    """Return the values of one container, its network's name filled in."""
    template = Template(**{**FULL, "gpus": len(devices), **more})
    wish = Deployment("tiny", 3, template, (0,), ("tiny",), tags={"team": "red"}, spots=(Spot("h1", devices),))
    want = next(
        one for one in lower(TargetWant("rack", (wish,)), House(("h1",), "cache")) if one.address.kind == CONTAINER
    )
    env = {name: SECRETS.get(name, value) for name, value in want.values["env"].items()}
    return {**want.values, "env": env, "network": "test-net"}


def change_of(values: dict[str, Any]) -> Change:
    labels = Labels("0123456789ab", "3f0c", "test", "default", 'docker_container.tiny["rack/0"]', "tiny", 3, "77", 9)
    return Change(Do.CREATE, parse_address(labels.address), "rack", "test-tiny-r3-0", labels, values)


def inspect_of(values: dict[str, Any], made: Made = MADE) -> dict[str, Any]:
    """Return what a daemon says of the container that was made of these values."""
    made_of = body(values, made, write_labels(change_of(values), made.values()))
    config = {name: value for name, value in made_of.items() if name not in {"HostConfig", "NetworkingConfig"}}
    config["Env"] = [*config["Env"], "PATH=/usr/bin"]  # of the image
    found = {
        "Id": "c0ffee", "Name": "/test-tiny-r3-0", "Config": config, "HostConfig": made_of["HostConfig"],
        "State": {"Running": True, "Status": "running"}, "NetworkSettings": {"Networks": {"test-net": {}}},
    }  # fmt: skip
    return dict(json.loads(json.dumps(found)))


def seen_in(doc: dict[str, Any]) -> dict[str, Any]:
    described = read_labels(doc["Config"]["Labels"])
    assert described
    return dict(observed(doc, described, parse_address(described.labels.address), "h1").values)


def written(values: dict[str, Any]) -> dict[str, Any]:
    env = {name: value.ref if isinstance(value, Secret) else value for name, value in values["env"].items()}
    return {**values, "env": env}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"container": {}, "command": ("serve", "{port}"), "memory": 0},
        {"env": {}, "model_uri": ""},
        {"devices": (Share("GPU-1", 4 << 30),)},
        {"devices": (Share("GPU-1"), Share("GPU-2"))},
        {"container": {"download": True, "cache": "/c"}, "model_uri": "hf://org/name"},
    ],
)
def test_what_goes_round_comes_back(more: dict[str, Any]) -> None:
    values = values_of(**more)
    assert set(values) == set(KINDS[CONTAINER].fields)
    made = replace(MADE, gpus=GPU, share="0.5") if more.get("devices") else MADE
    doc = inspect_of(values, made)
    assert seen_in(doc) == written(values)
    described = read_labels(doc["Config"]["Labels"])
    assert described
    seen = observed(doc, described, parse_address(described.labels.address), "h1")
    assert seen.labels == change_of(values).labels
    assert (seen.name, seen.outputs["endpoint"], seen.running) == ("test-tiny-r3-0", "h1:21034", True)


def test_no_secret_is_in_a_label_and_one_that_goes_as_file_is_not_in_the_body() -> None:
    made_of = body(values_of(), MADE, write_labels(change_of(values_of()), MADE.values()))
    assert "canary" not in json.dumps(made_of["Labels"])
    assert "canary-file" not in json.dumps(made_of)
    assert "KEY=canary-env" in made_of["Env"]
    assert "TOKEN_FILE=/run/secrets/TOKEN" in made_of["Env"]
    assert list(secret_files(values_of()["env"])) == ["TOKEN"]


def test_a_container_has_no_right_that_its_engine_does_not_need() -> None:
    host = body(values_of(), MADE, {})["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == ["SYS_NICE"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert not host["Privileged"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "21034"}]}
    assert host["Mounts"] == [
        {"Type": "volume", "Source": "infctl-models", "Target": "/models", "ReadOnly": True},
        {"Type": "volume", "Source": "cache", "Target": "/root/.cache"},
        {"Type": "volume", "Target": "/run/secrets"},  # a read-only root takes no file
    ]


@pytest.mark.parametrize(
    ("words", "arguments_only", "entrypoint", "arguments"),
    [
        (("serve", "{port}"), False, ["serve", "8000"], []),
        (("-m", "{model}"), True, ["/bin/server"], ["-m", "/models/ab/tiny.gguf"]),
        (("--part={gpu_share}",), True, ["/bin/server"], ["--part=1"]),
        ((), False, ["/bin/server"], ["--help"]),
        ((), True, ["/bin/server"], ["--help"]),
    ],
)
def test_the_command_line(words: Any, arguments_only: bool, entrypoint: list[str], arguments: list[str]) -> None:
    values = values_of(command=words, container={"arguments_only": arguments_only})
    assert command(values, MADE) == (entrypoint, arguments)


def test_variables_of_the_model_win_over_the_engine_s() -> None:
    values = values_of(env={"A": "mine", "PORT": "1"}, container={"env": {"A": "engine", "B": "engine"}})
    assert environment(values) == ["A=mine", "B=engine", "PORT=1"]


@pytest.mark.parametrize(
    ("devices", "share"),
    [
        ((), "1"),
        ((("a", 0),), "1"),
        ((("a", 25),), "0.25"),
        ((("a", 33), ("b", 50)), "0.165"),
        ((("a", 1), ("b", 0)), "0.01"),
    ],
)
def test_the_part_of_a_device(devices: Any, share: str) -> None:
    assert part_of({"devices": devices}, {"a": 100, "b": 303}) == share


def test_a_daemon_that_cannot_limit_is_asked_for_no_limit_and_reports_none() -> None:
    values, made = values_of(), replace(MADE, limits=False)
    doc = inspect_of(values, made)
    assert "Memory" not in doc["HostConfig"]
    assert seen_in(doc) == written(values)
    assert update(values, made) == {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}


def test_a_secret_s_value_is_never_what_is_seen() -> None:
    doc = inspect_of(values_of())
    doc["Config"]["Env"] = [word.replace("red", "blue").replace("canary-env", "other") for word in doc["Config"]["Env"]]
    assert seen_in(doc)["env"] == {**written(values_of())["env"], "COLOUR": "blue"}
    assert "other" not in repr(seen_in(doc))


def test_a_health_check_that_another_version_of_infctl_wrote_is_as_good_and_a_stranger_s_is_not() -> None:
    doc = inspect_of(values_of())
    test = doc["Config"]["Healthcheck"]["Test"]
    assert test[3].startswith("command -v curl")
    test[3] = test[3].replace("wget -q", "wget -q -T 5")
    assert seen_in(doc) == written(values_of())
    test[3] = "exit 0"
    assert seen_in(doc)["health"] != written(values_of())["health"]


def test_an_engine_s_own_variable_that_was_changed_is_seen_as_its() -> None:
    doc = inspect_of(values_of())
    doc["Config"]["Env"] = [word.replace("HF_HOME=/root/.cache", "HF_HOME=/tmp") for word in doc["Config"]["Env"]]
    seen = seen_in(doc)
    assert seen["env"] == written(values_of())["env"]
    assert seen["sandbox"]["env"] == {"HF_HOME": "/tmp"}  # noqa: S108


def test_a_stranger_s_container_is_taken_in_as_it_is_without_its_environment() -> None:
    doc = inspect_of(values_of())
    doc["Config"]["Labels"] = {}
    seen = adopted(doc, "c0ffee", "rack", Address(CONTAINER, "tiny", "rack/0"), "h1")
    assert (seen.id, seen.labels, seen.outputs["endpoint"]) == ("c0ffee", None, "h1:21034")
    assert set(seen.values) == set(KINDS[CONTAINER].fields)
    assert seen.values["image"] == MADE.image
    assert "canary" not in repr(seen)


def test_what_another_version_of_infctl_made_is_read_as_far_as_it_is_known() -> None:
    doc = inspect_of(values_of())
    labels = doc["Config"]["Labels"]
    older = {
        name: value for name, value in json.loads(labels["infctl.values"]).items() if name not in {"sandbox", "log"}
    }
    labels["infctl.values"] = json.dumps({**older, "of_a_later_one": 1})
    labels["infctl.made"] = json.dumps({**MADE.values(), "of_a_later_one": 1})
    seen = seen_in(doc)
    assert set(seen) == set(KINDS[CONTAINER].fields)
    right = written(values_of())
    assert {name for name, value in seen.items() if value != right[name]} <= {
        "sandbox",
        "log",
        "command",
        "env",
        "mounts",
    }


def test_labels_written_by_hand_describe_nothing() -> None:
    whole = write_labels(change_of(values_of()), MADE.values())
    assert read_labels(whole)
    assert read_labels(None) is None
    for name in ("infctl.id", "infctl.values", "infctl.revision"):
        assert (
            read_labels({**whole, name: ""} if name != "infctl.id" else {k: v for k, v in whole.items() if k != name})
            is None
        )
