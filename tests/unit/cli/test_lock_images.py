"""`lock` and `plan` where replicas are containers: a tag is looked up once, and moved only on request."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.shell import Shell
from tests.unit.desired.hub import Hub, hub

HEAD = "apiVersion: infctl/v1\nname: acme\ntargets: {rack: {type: rack}}\nmodels:\n"
VLLM, LLAMA = "vllm/vllm-openai:v0.33.0", "ghcr.io/ggml-org/llama.cpp:server-b11382"


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        running.repositories["a/b/revision/main"] = {"sha": "c0ffee00", "siblings": [{"rfilename": "m", "size": 7}]}
        yield running


@pytest.fixture
def rack(shell: Shell, server: Hub) -> Shell:
    shell.env["HF_ENDPOINT"] = server.address
    args = "{ignore_patterns: [a, b], compilation_config: {level: 3, sizes: [1, 2]}}"
    shell.write(f"chat: {{uri: 'hf://a/b', engine_args: {args}}}\nsmall: {{uri: 'file:m.gguf'}}", HEAD)
    push(shell, {VLLM: "a" * 64, LLAMA: "b" * 64})
    return shell


def push(shell: Shell, images: dict[str, str]) -> None:
    (shell.folder / "registry.json").write_text(json.dumps(images))


def test_a_lock_says_engine_model_and_image(rack: Shell) -> None:
    lines = rack("lock").out.splitlines()
    assert lines[0] == "+ chat on rack  vllm 0.33.0 · hf://a/b @ c0ffee0 · image aaaaaaa"
    assert lines[1].startswith("+ small on rack llama.cpp 11382 · file:m.gguf @ ")
    assert lines[1].endswith(" · F32 · image bbbbbbb")


def test_what_is_pinned_needs_no_registry_and_no_hub(rack: Shell, server: Hub) -> None:
    assert rack("apply", "-auto-approve").code == 0
    asked = list(server.asked)
    push(rack, {})
    rack.env["CI"] = "true"
    assert "No changes." in rack("plan").out
    assert server.asked == asked


def test_a_tag_that_moved_is_followed_only_on_request(rack: Shell, server: Hub) -> None:
    assert rack("apply", "-auto-approve").code == 0
    push(rack, {VLLM: "c" * 64, LLAMA: "b" * 64})
    server.repositories["a/b/revision/main"]["sha"] = "beef0000"
    assert "No changes." in rack("plan").out
    done = rack("lock", "-upgrade")
    assert "~ chat on rack image aaaaaaaaaaaa → cccccccccccc, revision c0ffee00 → beef0000\n" in done.out
    assert "small" not in done.out
    assert rack("plan", "-detailed-exitcode").code == 2


def test_a_plan_with_upgrade_moves_it_too_where_somebody_is_there(rack: Shell) -> None:
    assert rack("apply", "-auto-approve").code == 0
    push(rack, {VLLM: "c" * 64, LLAMA: "b" * 64})
    rack.env["CI"] = "true"
    refused = rack("plan", "-upgrade")
    assert refused.code == 1
    assert "inference.lock.yaml is out of date for chat on rack" in refused.err
    del rack.env["CI"]
    assert rack("plan", "-upgrade", "-detailed-exitcode").code == 2
    assert "c" * 64 in (rack.folder / "inference.lock.yaml").read_text()


def test_a_plan_file_of_a_model_from_elsewhere_is_applied(rack: Shell, server: Hub) -> None:
    server.files["/m.gguf"] = {"ETag": '"e1"', "Content-Length": "7"}
    rack.write(f"small: {{uri: '{server.address}/m.gguf#sha256={'d' * 64}'}}", HEAD)
    assert rack("plan", "-out=p").code == 0
    done = rack("apply", "p")
    assert (done.code, done.err) == (0, "")


def test_an_image_that_is_not_there_is_told_with_its_model(rack: Shell) -> None:
    push(rack, {LLAMA: "b" * 64})
    done = rack("plan")
    assert done.code == 1
    assert "error[image-unresolved]: vllm/vllm-openai:v0.33.0 cannot be pinned for chat on rack" in done.err
    assert "hint: push it, or mend its name" in done.err
    assert not (rack.folder / "inference.lock.yaml").exists()
