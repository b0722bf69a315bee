"""The model that ships with infctl: small, well described, and able to say a sensible sentence."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader

MODEL = Path(__file__).parents[2] / "stacks/hello/models/hello.gguf"

# In a process of its own: the engine's threads must not outlive the test.
SERVE = """
import json, sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.embedding = sys.argv[1], sys.argv[2] == "embed"
params.n_ctx, params.n_parallel, params.port, params.verbosity = 2048, 1, 0, -1
params.hostnames, params.cpuparams.n_threads = ["127.0.0.1"], 1
server = xllamacpp.Server(params)
requests = json.loads(sys.argv[3])
print(json.dumps([getattr(server, "handle_" + name)(body) for name, body in requests]))
"""
GREEDY = {"max_tokens": 200, "temperature": 0}


def ask(task: str, *requests: tuple[str, dict[str, object]]) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", SERVE, str(MODEL), task, json.dumps(requests)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.fixture(scope="module")
def reader() -> GGUFReader:
    return GGUFReader(MODEL)


def read_field(reader: GGUFReader, key: str) -> object:
    field = reader.get_field(key)
    assert field is not None, key
    return field.contents()


def test_is_small_enough_to_ship() -> None:
    assert MODEL.stat().st_size < 3_000_000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("general.architecture", "llama"),
        ("general.license", "Apache-2.0"),
        ("llama.context_length", 2048),
        ("tokenizer.ggml.model", "gpt2"),
        ("tokenizer.ggml.add_bos_token", True),
    ],
)
def test_describes_itself(reader: GGUFReader, key: str, value: object) -> None:
    assert read_field(reader, key) == value


def test_knows_every_byte(reader: GGUFReader) -> None:
    tokens = read_field(reader, "tokenizer.ggml.tokens")
    assert isinstance(tokens, list)
    assert sum(len(token) == 1 for token in tokens) == 256


def test_chat_template_uses_only_known_control_tokens(reader: GGUFReader) -> None:
    template, tokens = (read_field(reader, f"tokenizer.{key}") for key in ("chat_template", "ggml.tokens"))
    assert isinstance(template, str)
    assert isinstance(tokens, list)
    assert {"<|user|>", "<|assistant|>", "<|system|>", "<|end|>"} <= set(tokens)
    assert all(part.split("|>")[0] + "|>" in {token[2:] for token in tokens} for part in template.split("<|")[1:])


def test_answers_in_readable_sentences_that_end() -> None:
    question = {"role": "user", "content": "What is a plan?"}
    plain, chat = (
        answer["choices"][0]
        for answer in ask(
            "generate",
            ("completions", {"prompt": "infctl is", **GREEDY}),
            ("chat_completions", {"messages": [question], **GREEDY}),
        )
    )
    said = plain["text"], chat["message"]["content"]
    assert "models" in said[0]
    assert "change" in said[1]
    assert all(text.isascii() and text.isprintable() and text.endswith(".") for text in said)
    assert plain["finish_reason"] == chat["finish_reason"] == "stop"


def test_embeds_without_further_settings() -> None:
    (answer,) = ask("embed", ("embeddings", {"input": ["What is a plan?", "What is a GPU?"]}))
    assert [len(row["embedding"]) for row in answer["data"]] == [160, 160]
