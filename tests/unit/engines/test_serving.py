"""What each engine runs in a container: image, command line, what the container needs, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.engines.container import Container
from infctl.engines.resolve import decide_pin, engine_of, resolve, set_up
from infctl.engines.serving import tag_version
from infctl.provider.values import Probe, Template, template_from, template_values
from infctl.spec.model import Model
from tests.unit.engines.said import lines

COMMANDS = Path(__file__).parents[2] / "cases" / "engines" / "commands.yaml"
HF = "hf://meta-llama/Llama-3.1-8B-Instruct"
DIGEST = "@sha256:" + "ab" * 32


def model(**fields: Any) -> Model:
    return Model.model_validate({"name": "chat", "served_names": ["chat"], **fields})


def template(**fields: Any) -> Template:
    asked = model(**fields)
    pin = decide_pin(asked, None, {}, container=True)
    pin = replace(pin, image=pin.image + DIGEST, model_revision="c0ffee")
    setup = set_up(asked, None, container=True, version=pin.engine_version)
    assert lines(setup.problems) == []
    return resolve(asked, pin, setup, container=True)


@pytest.mark.parametrize("case", yaml.safe_load(COMMANDS.read_text()), ids=lambda case: case["runs"][:40])
def test_what_a_replica_runs(case: dict[str, Any]) -> None:
    made = template(**case["model"])
    assert (made.image, " ".join(made.command)) == (case["image"] + DIGEST, case["runs"])
    assert template_from(template_values(made)) == made


def test_tgi_is_asked_for_with_a_warning_that_names_who_follows_it() -> None:
    asked = model(uri=HF, engine="tgi", quantization="nf4", gpu={"count": 2})
    pin = decide_pin(asked, None, {}, container=True)
    setup = set_up(asked, None, container=True, version=pin.engine_version)
    assert lines(setup.problems) == [
        "warning engine: no fixes any more | say engine: vllm, or engine: sglang; both serve what it serves"
    ]
    assert " ".join(resolve(asked, pin, setup, container=True).command) == (
        "--model-id meta-llama/Llama-3.1-8B-Instruct --hostname 0.0.0.0 --port {port}"
        " --usage-stats off --quantize bitsandbytes-nf4 --num-shard 2"
    )


def test_what_a_container_needs_is_said_in_plain_values() -> None:
    made = template(uri=HF).container
    assert (made["arguments_only"], made["cache"], made["download"]) == (True, "/cache", True)
    assert made["env"]["HF_HOME"] == "/cache/huggingface"
    assert made["shm_size"] == 8 * 1024**3
    assert (made["model_revision"], "read_only" in made) == ("c0ffee", False)
    small = template(uri="https://models.example/m.gguf").container
    assert set(small) == {"arguments_only", "read_only", "tmpfs", "model_revision"}
    assert Container().values() == {}
    assert template(uri="file:repository", engine="triton").container["health_path"] == "/health/ready"


def test_a_token_for_the_hub_stays_a_file_where_the_engine_reads_one() -> None:
    token = {"env": {"HF_TOKEN": "secret://hf"}}
    assert template(uri=HF, **token).container["env"]["HF_TOKEN_PATH"] == "/run/secrets/HF_TOKEN"
    given = template(uri=HF, env={"HF_TOKEN": {"secret": "hf", "as": "env"}}).container["env"]
    assert "HF_TOKEN_PATH" not in given
    small = model(uri="hf://BAAI/bge-m3", engine="onnxruntime", task="embed", **token)
    assert lines(set_up(small, None, container=True).problems) == [
        "error env.HF_TOKEN: handed over as a file | write HF_TOKEN: {secret: NAME, as: env}"
    ]


@pytest.mark.parametrize(
    ("fields", "devices"),
    [
        ({"uri": HF}, (1, 0, 0.0)),
        ({"uri": HF, "gpu": {"count": 2, "memory": "16GB"}}, (2, 16_000_000_000, 0.0)),
        ({"uri": HF, "gpu": {"fraction": "25%"}}, (1, 0, 0.25)),
        ({"uri": "file:m.gguf"}, (0, 0, 0.0)),
        ({"uri": "file:m.gguf", "gpu": {}}, (1, 0, 0.0)),
        ({"image": "r/v:1", "engine": "custom", "health": "/up"}, (0, 0, 0.0)),
    ],
)
def test_devices_of_a_replica(fields: dict[str, Any], devices: tuple[int, int, float]) -> None:
    made = template(**fields)
    assert (made.gpus, made.gpu_memory, made.gpu_fraction) == devices


@pytest.mark.parametrize(
    ("fields", "probe"),
    [
        ({"uri": HF, "served_names": ["a", "b"]}, Probe("completions", "/v1/completions", "a", 1)),
        ({"uri": HF, "task": "vision"}, Probe("completions", "/v1/completions", "chat", 1)),
        ({"uri": HF, "task": "embed", "warmup": {"requests": 2}}, Probe("embeddings", "/v1/embeddings", "chat", 3)),
        ({"uri": HF, "task": "rerank"}, Probe("http", "/health", "", 1)),
        ({"uri": HF, "health": "/mine"}, Probe("http", "/mine", "", 1)),
    ],
)
def test_when_it_counts_as_ready(fields: dict[str, Any], probe: Probe) -> None:
    assert template(**fields).probe == probe


@pytest.mark.parametrize(
    ("fields", "engine"),
    [
        ({"uri": "file:m.gguf"}, "llama.cpp"),
        ({"uri": "file:m.bin"}, "llama.cpp"),
        ({"uri": "file:models/llama"}, "vllm"),
        ({"uri": "file:models/llama.safetensors"}, "vllm"),
        ({"uri": "https://x.example/m.gguf#sha256=00"}, "llama.cpp"),
        ({"uri": "hf://a/b"}, "vllm"),
        ({"uri": "hf://a/b-GGUF@main"}, "llama.cpp"),
        ({"uri": "hf://a/b/c.Q8_0.gguf"}, "llama.cpp"),
        ({"uri": "hf://a/b", "quantization": "gguf:Q4_K_M"}, "llama.cpp"),
        ({"uri": "s3://b/models/llama/"}, "vllm"),
        ({"command": ["x"]}, "custom"),
        ({"uri": "hf://a/b-GGUF", "engine": "sglang"}, "sglang"),
    ],
)
def test_the_engine_follows_from_the_files(fields: dict[str, Any], engine: str) -> None:
    assert engine_of(model(**fields), container=True) == engine


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vllm/vllm-openai:v0.11.0", "0.11.0"),
        ("vllm/vllm-openai:v0.8.5.post1-x86_64", "0.8.5.post1"),
        ("localhost:5000/vllm", ""),
        ("localhost:5000/vllm:v0.11.2-cu129@sha256:" + "0" * 64, "0.11.2"),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda-b11382", "11382"),
        ("r.example/engine:latest", ""),
        ("nvcr.io/nvidia/tritonserver:25.11-vllm-python-py3", "25.11"),
        ("r.example/engine@sha256:" + "0" * 64, ""),
    ],
)
def test_the_tag_tells_the_version(image: str, version: str) -> None:
    assert tag_version(image) == version
