"""What an instance is told: shell that shellcheck passes, and settings kept as they are."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infctl.provider.errors import ProviderError
from infctl.secrets import Secret, SecretRef
from infctl.templating import render
from infctl_aws.user_data import LONGEST, cloud_config, source_of, user_data
from tests.needs import need
from tests.testbed import packages

SHELLCHECK = str(Path(sys.executable).with_name("shellcheck"))
VALUES: Mapping[str, Any] = {
    "image": "vllm/vllm-openai@sha256:0", "engine": "vllm", "model": "hf://acme/chat", "model_sha256": "", "port": 8000,
    "args": {}, "env": {}, "command": ("vllm", "serve", "{model}", "--port", "{port}"), "gpus": 1, "ready_timeout": 600,
    "probe": {"kind": "completions", "path": "/v1/completions", "model": "chat", "requests": 1},
    "sandbox": {"download": True, "cache": "/root/.cache", "arguments_only": False}, "log_group": "/infctl/acme/chat",
}  # fmt: skip
PLACE = {
    "group": "acme-chat-r1", "ident": "0123456789ab", "region": "us-east-1", "drain": 120,
    "secrets": "/infctl/acme/default/burst/chat/1",
}  # fmt: skip


def config(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(cloud_config({**VALUES, **more}, **PLACE))  # type: ignore[arg-type]
    return found


def setting(name: str, **more: Any) -> list[str]:
    """Return a setting as the shell has it, word by word."""
    [text] = [file["content"] for file in config(**more)["write_files"] if file["path"] == "/etc/infctl/settings"]
    script = f'{text}\nprintf "%s\\0" "${{{name}[@]}}"'
    said = subprocess.run(["bash", "-euc", script], capture_output=True, check=True).stdout
    return said.decode().split("\0")[:-1]


@pytest.mark.parametrize("name", ["common", "start", "ready", "drain"])
def test_shellcheck_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(render(f"aws/{name}.sh"))
    asked = [SHELLCHECK, "--shell=bash", "--exclude=SC2154", str(file)]  # settings and `common` are sourced
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_cloud_init_knows_every_word() -> None:
    root = packages.unpacked("cloud-init")
    need(root is not None, "cloud-init's schema (scripts/test.py as root fetches it)")
    assert root is not None
    [file] = root.glob("usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json")
    text = cloud_config(VALUES, **PLACE)  # type: ignore[arg-type]
    assert text.startswith("#cloud-config\n")
    jsonschema.Draft4Validator(json.loads(file.read_text())).validate(yaml.safe_load(text))


def test_settings_are_what_was_wanted_whatever_is_in_them() -> None:
    nasty = 'it\'s $(reboot) `x` "q" \\ \n end'
    assert setting("ARGV", command=("serve", nasty)) == [nasty]
    assert f"NOTE={nasty}" in setting("DOCKER", env={"NOTE": nasty})
    assert setting("PORT", port=9000) == ["9000"]


def test_the_engine_downloads_what_it_can_by_itself() -> None:
    assert setting("MODEL_SOURCE") == [""]
    assert setting("ARGV") == ["serve", "acme/chat", "--port", "8000"]
    assert setting("DOCKER")[-2:] == ["--entrypoint", "vllm"]
    given = setting("DOCKER")
    assert given[given.index("--gpus") + 1] == "1"
    assert "infctl-cache:/root/.cache" in given


@pytest.mark.parametrize(
    ("uri", "engine", "source"),
    [
        ("s3://b/m.gguf", "llama.cpp", "s3://b/m.gguf"),
        ("s3://b/folder", "vllm", "s3://b/folder/"),
        ("https://h/m.gguf#x", "llama.cpp", "https://h/m.gguf"),
        ("hf://o/n/a b.gguf", "llama.cpp", "https://huggingface.co/o/n/resolve/main/a%20b.gguf"),
    ],
)
def test_an_instance_fetches_from_where_the_model_is(uri: str, engine: str, source: str) -> None:
    assert source_of({**VALUES, "model": uri, "engine": engine, "sandbox": {}}) == source


def test_a_whole_repository_that_nobody_fetches_is_refused() -> None:
    with pytest.raises(ProviderError) as failure:
        source_of({**VALUES, "engine": "onnxruntime", "sandbox": {}})
    assert "bucket" in failure.value.diagnostics[0].hint


def test_a_secret_is_named_and_not_told() -> None:
    env = {"TOKEN": Secret("not-to-be-told", SecretRef("hf")), "KEY": Secret("nor-this", SecretRef("key", "env"))}
    assert (setting("SECRET_FILES", env=env), setting("SECRET_ENV", env=env)) == (["TOKEN"], ["KEY"])
    assert "not-to-be-told" not in str(config(env=env))


def test_user_data_is_the_same_for_the_same_and_not_too_long() -> None:
    assert user_data(VALUES, **PLACE) == user_data(VALUES, **PLACE)  # type: ignore[arg-type]
    assert len(user_data(VALUES, **PLACE)) < LONGEST / 2  # type: ignore[arg-type]


def test_user_data_too_long_are_refused() -> None:
    noise = random.Random(1).randbytes(LONGEST).hex()
    with pytest.raises(ProviderError, match="provider-failed"):
        user_data({**VALUES, "command": ("serve", noise)}, **PLACE)  # type: ignore[arg-type]
