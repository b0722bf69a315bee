"""`infctl size` of a model whose own files say what it is: a folder, a GGUF file, a repository of a hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shell import Done, Shell
from tests.tiny_gguf import write_tiny_gguf
from tests.tiny_safetensors import LLAMA, llama_tensors, safetensors, write_checkpoint
from tests.unit.desired.hub import Hub, hub

GIB = 1024**3


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub() as running:
        yield running


def ask(folder: Path, model: str, *more: str, server: Hub | None = None, token: str = "") -> Done:
    env = {"HF_ENDPOINT": server.address if server else "http://127.0.0.1:9", "HF_TOKEN": token}
    return Shell(folder, env)("size", "-model", model, "-gpu", "L40S", "-max-model-len", "2048", "-json", *more)


def answer(done: Done) -> dict[str, Any]:
    assert done.err == ""
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_a_folder_is_read(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "mine")
    found = answer(ask(tmp_path, "./mine"))
    held = (folder / "model.safetensors").stat().st_size
    rope = 2048 * 16 * 2
    assert found["memory"]["weights"] * GIB == pytest.approx(held + rope, rel=0.02)  # the file has its header, too
    assert found["memory"]["kv_bytes_per_token"] == 2 * 2 * 2 * 16 * 2
    assert found["model"] == {"name": "mine", "parameters": 106816, "assumed": [], "source": "mine"}
    assert found["precision"]["name"] == "bf16"


def test_what_a_checkpoint_leaves_in_16_bits_is_seen_in_its_headers(tmp_path: Path) -> None:
    config = {**LLAMA, "quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}
    folder = write_checkpoint(tmp_path / "mine", config)
    tensors = llama_tensors("F8_E4M3")
    for name in tensors:
        if "self_attn" in name:
            tensors[name] = ("BF16", tensors[name][1])
    (folder / "model.safetensors").write_bytes(safetensors(tensors))
    found = answer(ask(tmp_path, str(folder)))
    size = 2 * (2 * 256 * 64 + 5 * 64) + 2 * (2 * 12288 + 3 * 64 * 128)
    assert found["memory"]["weights"] * GIB == pytest.approx(size + 2048 * 16 * 2)
    assert found["precision"]["name"] == "fp8"


def test_another_format_is_made_while_it_is_loaded(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "mine")
    whole, half = (answer(ask(tmp_path, "./mine", *more)) for more in ((), ("-precision", "fp8")))
    assert half["memory"]["weights"] < whole["memory"]["weights"]


def test_a_gguf_file_is_read(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    found = answer(ask(tmp_path, "tiny.gguf", "-engine", "llama.cpp"))
    assert found["precision"]["name"] == "gguf:F32"
    assert found["model"]["parameters"] > 100_000
    assert found["memory"]["kv_bytes_per_token"] == 2 * 2 * 2 * 32 * 2


def test_a_gguf_header_alone_is_enough(tmp_path: Path) -> None:
    whole = write_tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: whole.index(b"blk.1.ffn_down") + 64])
    asked = answer(ask(tmp_path, "tiny.gguf"))["memory"]
    assert answer(ask(tmp_path, "cut.gguf"))["memory"] == asked
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 2])
    assert "it was cut short" in ask(tmp_path, "half.gguf").err


def test_of_a_repository_only_headers_are_read(tmp_path: Path, server: Hub) -> None:
    tensors = list(llama_tensors().items())
    files = {f"model-{number}.safetensors": dict(part) for number, part in enumerate((tensors[:9], tensors[9:]))}
    places = {tensor: name for name, part in files.items() for tensor in part}
    bodies = {name: safetensors(part) for name, part in files.items()}
    big = {"model-0.safetensors": bodies["model-0.safetensors"] + bytes(2_000_000)}
    server.put("acme/tiny", {
        "config.json": json.dumps(LLAMA).encode(),
        "model.safetensors.index.json": json.dumps({"weight_map": places}).encode(),
        **bodies, **big, "pytorch_model.bin": b"never",
    })  # fmt: skip
    server.elsewhere = True
    found = answer(ask(tmp_path, "hf://acme/tiny", server=server, token="hf_secret"))
    assert found["model"]["parameters"] == 106816
    assert found["model"]["source"] == "hf://acme/tiny"
    assert not [each for each in server.asked if "pytorch_model" in each]
    read = [each for each in server.asked if "/stored" in each and "model-0" in each]
    assert len(read) == 1, "the header of a file comes with one question"
    told = dict(zip(server.asked, server.told, strict=True))
    assert {token for question, token in told.items() if "/stored" not in question} == {"Bearer hf_secret"}
    assert {token for question, token in told.items() if "/stored" in question} == {""}, "a redirect gets no token"


def test_a_gguf_file_of_a_repository_is_read(tmp_path: Path, server: Hub) -> None:
    content = write_tiny_gguf(tmp_path / "tiny.gguf").read_bytes()
    server.put("acme/tiny", {"tiny-f32.gguf": content})
    found = answer(ask(tmp_path, "hf://acme/tiny/tiny-f32.gguf", "-engine", "llama.cpp", server=server))
    assert found["precision"]["name"] == "gguf:F32"


def test_a_repository_without_weights_that_are_understood_is_counted(tmp_path: Path, server: Hub) -> None:
    server.put("acme/tiny", {"config.json": json.dumps(LLAMA).encode(), "pytorch_model.bin": b"x"})
    assert answer(ask(tmp_path, "hf://acme/tiny", server=server))["model"]["parameters"] == 106816


def test_a_hub_that_is_not_there_leaves_the_catalogue(tmp_path: Path) -> None:
    found = answer(ask(tmp_path, "hf://meta-llama/Llama-3.1-8B"))
    assert found["model"]["source"].startswith("catalogue, for the hub says nothing: ")
    err = ask(tmp_path, "hf://acme/secret").err
    assert "error[model-unreachable]" in err


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config.json": b"{}"}, "does not say hidden_size and num_hidden_layers"),
        ({"config.json": b"nope"}, "it is no JSON"),
        ({"README.md": b"x"}, "has no config.json"),
        ({"config.json": json.dumps(LLAMA).encode(), "model.safetensors": b"\xff" * 9}, "its header claims"),
    ],
)
def test_a_repository_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, server: Hub, files: dict[str, bytes], words: str
) -> None:
    server.put("acme/tiny", files)
    err = ask(tmp_path, "hf://acme/tiny", server=server).err
    assert "error[bad-model-file]" in err
    assert words in err


def test_a_server_without_ranges_is_told(tmp_path: Path, server: Hub) -> None:
    header = {f"model.layers.0.{'x' * 3000}.{number}.weight": ("BF16", (1,)) for number in range(200)}
    server.put("acme/tiny", {"config.json": json.dumps(LLAMA).encode(), "model.safetensors": safetensors(header)})
    server.deaf = True
    assert "does not give parts of files" in ask(tmp_path, "hf://acme/tiny", server=server).err


def test_a_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "config.json" in ask(tmp_path, "./empty").err
    assert "gone.gguf" in ask(tmp_path, "gone.gguf").err
    assert "There is no model" in ask(tmp_path, "x" * 5000).err


def test_an_architecture_that_nobody_knows_says_what_is_assumed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "odd", {**LLAMA, "model_type": "marvellous"})
    plain = Shell(tmp_path)("size", "-model", "./odd", "-gpu", "L40S", "-max-model-len", "2048")
    assert "Assumed: the layers of model_type 'marvellous' are those of Llama" in " ".join(plain.out.split())
    known, odd = (answer(ask(write_checkpoint(tmp_path / name, config).parent, f"./{name}"))["metrics"]
                  for name, config in (("plain", LLAMA), ("odd", {**LLAMA, "model_type": "marvellous"})))  # fmt: skip
    wide, narrow = (each["tpot_mean_ms"]["high"] / each["tpot_mean_ms"]["low"] for each in (odd, known))
    assert wide > narrow
