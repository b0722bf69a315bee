"""What a GGUF header says, read against the library that the format's authors write."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from infctl.diagnostics import InfctlError
from infctl.engines.ggml import FILE_TYPES, FORMATS
from infctl.engines.gguf import read_header
from infctl.engines.shape import shape_of
from tests.tiny_gguf import EMBEDDING, FEED_FORWARD, HEADS, LAYERS, write_tiny_gguf

STARTER = Path(__file__).parents[3] / "stacks" / "hello" / "models" / "hello.gguf"


def test_formats_are_those_of_ggml() -> None:
    theirs = {int(kind): (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    ours = {number: (made.name, made.block, made.size) for number, made in FORMATS.items()}
    assert ours.items() <= theirs.items()


def test_file_types_are_those_of_llama_cpp() -> None:
    theirs = {int(kind): kind.name.removeprefix("ALL_").removeprefix("MOSTLY_") for kind in gguf.LlamaFileType}
    assert FILE_TYPES.items() <= theirs.items()


def test_the_starter_model_says_what_it_is() -> None:
    header = read_header(STARTER)
    reader = gguf.GGUFReader(STARTER)
    assert (header.architecture, header.quantization, header.version) == ("llama", "Q8_0", 3)
    assert header.tensors == len(reader.tensors)
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert header.weights == sum(int(tensor.n_bytes) for tensor in reader.tensors)
    assert header.lengths["tokenizer.ggml.tokens"] == header.figure("vocab_size")


def test_a_shape_has_the_figures_that_sizing_needs(tmp_path: Path) -> None:
    shape = shape_of(read_header(write_tiny_gguf(tmp_path / "tiny.gguf", context_length=777)))
    assert (shape.architecture, shape.context_length, shape.layers) == ("llama", 777, LAYERS)
    assert (shape.embedding_length, shape.feed_forward_length, shape.vocabulary) == (EMBEDDING, FEED_FORWARD, 260)
    assert (shape.heads, shape.kv_heads, shape.key_length, shape.value_length) == (HEADS, HEADS * LAYERS, 32, 32)
    assert shape.merges == 2
    assert shape.plain


def written(path: Path, **figures: object) -> Path:
    """Write a file of metadata only, under the architecture "arch"."""
    writer = gguf.GGUFWriter(path, "arch")
    for name, value in figures.items():
        key = "arch." + name.replace("__", ".")
        if isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_uint32(key, int(str(value)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_heads_may_differ_between_layers(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.gguf", block_count=3, embedding_length=64, attention__head_count=4,
        attention__head_count_kv=[4, 0, 2],
    )  # fmt: skip
    shape = shape_of(read_header(path))
    assert (shape.kv_heads, shape.key_length) == (6, 16)


def test_a_latent_cache_is_one_row_per_layer(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.gguf", block_count=27, embedding_length=2048, attention__head_count=16,
        attention__head_count_kv=1, attention__kv_lora_rank=512, attention__key_length=576,
        attention__value_length=512, attention__key_length_mla=192, rope__dimension_count=64,
    )  # fmt: skip
    shape = shape_of(read_header(path))
    assert (shape.kv_heads, shape.key_length, shape.value_length) == (27, 576, 0)


@pytest.mark.parametrize("name", ["attention__sliding_window", "ssm__state_size"])
def test_layers_that_keep_less_make_the_cache_an_upper_bound(tmp_path: Path, name: str) -> None:
    figures = {"block_count": 2, "embedding_length": 64, "attention__head_count": 2, name: 512}
    assert not shape_of(read_header(written(tmp_path / "m.gguf", **figures))).plain


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "arch")
    writer.add_uint8("a.u8", 200)
    writer.add_int8("a.i8", -3)
    writer.add_uint16("a.u16", 60_000)
    writer.add_int16("a.i16", -300)
    writer.add_uint32("a.u32", 4_000_000_000)
    writer.add_int32("a.i32", -70_000)
    writer.add_float32("a.f32", 0.5)
    writer.add_bool("a.yes", val=True)
    writer.add_string("a.text", "grüße")
    writer.add_uint64("a.u64", 1 << 40)
    writer.add_int64("a.i64", -(1 << 40))
    writer.add_float64("a.f64", 0.25)
    writer.add_array("a.few", [1, 2, 3])
    writer.add_array("a.many", list(range(5_000)))
    writer.add_array("a.words", ["x", "", "yz"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(tmp_path / "m.gguf")
    assert {key[2:]: value for key, value in header.metadata.items() if key.startswith("a.")} == {
        "u8": 200, "i8": -3, "u16": 60_000, "i16": -300, "u32": 4_000_000_000, "i32": -70_000, "f32": 0.5,
        "yes": True, "text": "grüße", "u64": 1 << 40, "i64": -(1 << 40), "f64": 0.25,
    }  # fmt: skip
    assert header.arrays == {"a.few": (1, 2, 3)}
    assert header.lengths == {"a.few": 3, "a.many": 5_000, "a.words": 3}


def test_a_file_without_a_type_is_named_after_most_of_its_bytes(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "arch")
    writer.add_tensor("small", np.ones((4, 4), np.float32))
    writer.add_tensor("large", np.ones((64, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    header = read_header(tmp_path / "m.gguf")
    assert (header.quantization, header.formats) == ("F16", {"F32": 64, "F16": 8192})


def test_what_cannot_be_opened_is_said_in_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(InfctlError) as caught:
        read_header(tmp_path / "none.gguf")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.detail) == ("bad-model-file", "No such file or directory")
