"""Headers of safetensors files: what they say, and what is said of those that lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.engines.safetensors import Tensor, read_folder, read_header
from tests.tiny_safetensors import LLAMA, llama_tensors, safetensors, write_checkpoint


def header(**tensor: object) -> bytes:
    return raw(json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]} | tensor}).encode())


def raw(text: bytes, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(4)


def test_a_folder_says_its_config_and_its_tensors(tmp_path: Path) -> None:
    found = read_folder(write_checkpoint(tmp_path / "m"))
    assert found.config == LLAMA
    assert found.tensors["model.layers.1.mlp.up_proj.weight"] == Tensor("BF16", (128, 64), 2 * 128 * 64)
    assert len(found.tensors) == len(llama_tensors())


def test_shards_are_those_that_the_index_names(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    tensors = list(llama_tensors().items())
    for number, part in enumerate((tensors[:5], tensors[5:])):
        (folder / f"model-{number}.safetensors").write_bytes(safetensors(dict(part)))
    (folder / "other.safetensors").write_bytes(b"not looked at")
    places = {name: f"model-{0 if index < 5 else 1}.safetensors" for index, (name, _) in enumerate(tensors)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert set(read_folder(folder).tensors) == set(llama_tensors())


def test_a_second_copy_in_mistrals_own_format_is_not_counted(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "consolidated.safetensors").write_bytes(safetensors({"again": ("BF16", (9,))}))
    assert "again" not in read_folder(folder).tensors


# A file's bytes, and words of what is said of it.
BROKEN = {
    "empty": (b"", "it is empty"),
    "shorter than its length": (b"abc", "ends inside the first 8 bytes"),
    "cut inside its header": (raw(b"{}", 900), "900 bytes are due, 6 are there"),
    "ten gigabytes of header": (raw(b"{}", 10_000_000_000), "its header claims 10000000000 bytes"),
    "a length beyond all files": (b"\xff" * 8, "its header claims"),
    "no JSON": (raw(b"{'a': 1}"), "its header is no JSON"),
    "deep JSON": (raw(b"[" * 100_000), "its header is no JSON"),
    "a list": (raw(b"[1]"), "no JSON object"),
    "no offsets": (raw(b'{"a": {"dtype": "BF16", "shape": [2]}}'), "'a' does not say dtype, shape and data_offsets"),
    "a number for a tensor": (raw(b'{"a": 7}'), "does not say dtype"),
    "backwards": (header(data_offsets=[4, 0]), "no sensible place"),
    "a negative shape": (header(shape=[-2]), "no sensible shape"),
    "a shape of words": (header(shape="two"), "no sensible shape"),
    "many dimensions": (header(shape=[1] * 99), "no sensible shape"),
    "another size than its shape": (header(shape=[3]), "cannot have 4 bytes"),
    "behind the end": (header(shape=[8], data_offsets=[0, 16]), "it was cut short"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_in_words(tmp_path: Path, kind: str) -> None:
    content, words = BROKEN[kind]
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InfctlError) as failure:
        read_header(tmp_path / "x.safetensors")
    said = failure.value.diagnostics[0]
    assert (said.code, said.hint != "") == ("bad-model-file", True)
    assert words in said.detail
    assert "x.safetensors" in said.summary


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"weight_map": {"a": "../../etc/passwd"}}, "no .safetensors file beside it"),
        ({"weight_map": {"a": "gone.safetensors"}}, "No such file"),
        ({"weight_map": []}, "has no weight_map"),
        ([], "no JSON object"),
    ],
)
def test_an_index_that_leads_nowhere_is_refused(tmp_path: Path, index: object, words: str) -> None:
    folder = write_checkpoint(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InfctlError) as failure:
        read_folder(folder)
    assert words in failure.value.diagnostics[0].detail


def test_a_header_alone_is_enough(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    whole = read_folder(folder).tensors
    (folder / "model.safetensors").write_bytes(safetensors(llama_tensors(), data=False))
    assert read_folder(folder).tensors == whole


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InfctlError) as failure:
        read_folder(tmp_path)
    assert "config.json" in failure.value.diagnostics[0].summary
