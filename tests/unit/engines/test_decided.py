"""What was decided: as text and back, and the fields of a model that it fills in."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infctl.engines.decided import Decided, changes, read_decided
from infctl.engines.pin import Pin
from infctl.engines.resolve import resolve, serving_of, set_up
from infctl.spec.model import Model
from infctl.spec.plain import stack_from, stack_to_plain, with_fields
from tests.unit.desired.stacks import stack_of

GPUS = ("L40S", "RTX PRO 6000", "H100-SXM-80GB", "RTX-4090")
DECISION = Decided(
    gpu="L40S", gpus=2, tensor=2, quantization="fp8", max_model_len=8192, max_num_seqs=128,
    max_num_batched_tokens=4096, chunked_prefill=True, prefix_caching=True, memory_share=0.9, replicas=3,
)  # fmt: skip


def _any(kind: str) -> st.SearchStrategy[object]:
    if kind == "int":
        return st.integers(0, 10**6)
    if kind == "float":
        return st.floats(0, 1, allow_nan=False)
    if kind.startswith("bool"):
        return st.sampled_from([None, True, False])
    return st.sampled_from(["", "fp8", "gguf:Q4_K_M", *GPUS])


@given(st.fixed_dictionaries({each.name: _any(str(each.type)) for each in fields(Decided)}))
def test_what_was_decided_comes_back_from_its_text(values: dict[str, object]) -> None:
    decided = Decided(**values)  # type: ignore[arg-type]  # by name
    assert read_decided(str(decided)) == decided


@pytest.mark.parametrize(
    "text", ["gpu", "colour red", "gpus two", "chunked_prefill maybe", "gpus 1, gpus 2", "gpus 1,"]
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_decided(text)


def model(**said: object) -> Model:
    return Model.model_validate({"name": "chat", "served_names": ("chat",), "uri": "hf://a/b", **said})


def test_a_decision_fills_in_what_the_file_leaves_open() -> None:
    filled = with_fields(model(), changes(model(), DECISION, "vllm", serving_of("vllm")))
    assert (filled.engine, filled.quantization, filled.max_model_len) == ("vllm", "fp8", 8192)
    assert filled.gpu is not None
    assert (filled.gpu.count, filled.gpu.product) == (2, "L40S")
    pin = Pin("vllm", "0.33.0", "hf://a/b", image="vllm@sha256:1")
    command = " ".join(resolve(filled, pin, set_up(filled, None, container=True), container=True).command)
    for argument in ("--tensor-parallel-size 2", "--max-num-seqs 128", "--quantization fp8", "--max-model-len 8192"):
        assert argument in command


def test_what_the_file_says_stands() -> None:
    own = model(
        engine="sglang", quantization="none", max_model_len=1024, gpu={"count": 4, "product": "H100"},
        engine_args={"max_running_requests": 7},
    )  # fmt: skip
    found = changes(own, DECISION, "sglang", serving_of("sglang"))
    filled = with_fields(own, found)
    assert (filled.engine, filled.quantization, filled.max_model_len) == ("sglang", "none", 1024)
    assert filled.gpu == own.gpu
    assert filled.engine_args["max_running_requests"] == 7
    assert filled.engine_args["chunked_prefill_size"] == 4096


def test_a_model_that_was_kept_is_filled_in_just_so(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "  chat: {uri: 'file:m.gguf'}\n")
    kept = stack_from(stack_to_plain(stack), tmp_path, stack.sources).models["chat"]
    filled = with_fields(kept, {"engine": "vllm", "max_model_len": 5})
    assert (filled.name, filled.engine, filled.max_model_len, filled.uri) == ("chat", "vllm", 5, "file:m.gguf")
    assert kept.max_model_len is None
