"""The model that ships with infctl: small, well described, and able to say a sensible sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGUFReader

MODEL = Path(__file__).parents[2] / "stacks/hello/models/hello.gguf"

# In a process of its own: the engine's threads must not outlive the test.
ASK = """
import json, sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.port, params.verbosity = 2048, 1, 0, -1
params.hostnames = ["127.0.0.1"]
server = xllamacpp.Server(params)
plain = server.handle_completions({"prompt": "infctl is", "max_tokens": 200, "temperature": 0})
chat = server.handle_chat_completions(
    {"messages": [{"role": "user", "content": "What is a plan?"}], "max_tokens": 200, "temperature": 0}
)
print(json.dumps([plain["choices"][0], chat["choices"][0]]))
"""


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
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(MODEL)], capture_output=True, text=True, timeout=60, check=True
    )
    plain, chat = json.loads(asked.stdout.splitlines()[-1])
    assert "models" in plain["text"]
    assert "change" in chat["message"]["content"]
    for choice, text in ((plain, plain["text"]), (chat, chat["message"]["content"])):
        assert text.isascii()
        assert text.isprintable()
        assert text.endswith(".")
        assert choice["finish_reason"] == "stop"
