"""What starts where: how the table is looked up, and that the table that ships says what it means."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.support import Row, Way, fits, holds, order, supports
from infctl.sizing.precision import PRECISIONS


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("0.33.0", (0, 33, 0)),
        ("v0.10.1.1", (0, 10, 1, 1)),
        ("b11382", (11382,)),
        ("0.6.3.dev116", (0, 6, 3)),
        ("0.10.0 (ROCm 6.4.1)", (0, 10, 0)),
        ("Dec 2023", None),
        ("NIM 1.8.0", None),
        ("", None),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, numbers: tuple[int, ...] | None) -> None:
    assert order(version) == numbers


@pytest.mark.parametrize(
    ("since", "until", "version", "inside"),
    [
        ("0.9.0", "0.11.2", "0.9.0", True),
        ("0.9.0", "0.11.2", "0.11.2", True),
        ("0.9.0", "0.11.2", "0.12.0", False),
        ("0.9.0", "", "0.10.0", True),
        ("", "0.9.0", "0.10.0", False),
        ("0.9.0", "0.11.2", "nobody knows", True),
    ],
)
def test_a_span_of_versions(since: str, until: str, version: str, *, inside: bool) -> None:
    assert holds(since, until, version) is inside


@pytest.mark.parametrize(
    ("place", "gpu", "inside"),
    [
        ("8.9+", "L40S", True), ("8.9+", "A100", False), ("8.9+", "RTX 5090", True), ("8.9+", "MI300X", False),
        ("8.0-8.7", "RTX 3090", True), ("8.0-8.7", "L4", False), ("9.0", "H100", True), ("9.0", "B200", False),
        ("gfx942", "MI300X", True), ("gfx942", "MI355X", False), ("any", "MI210", True),
    ],
)  # fmt: skip
def test_a_place_is_a_capability_a_span_or_a_target(place: str, gpu: str, *, inside: bool) -> None:
    assert fits([place], gpus().find(gpu)[0]) is inside
    assert not fits([place], None)


@pytest.mark.parametrize(
    ("engine", "version", "gpu", "native", "weight_only"),
    [
        ("vllm", "0.33.0", "L40S", {"bf16", "fp8", "fp8-block", "int8"},
         {"awq", "gptq", "int8-gptq", "nvfp4", "mxfp4"}),
        ("vllm", "0.33.0", "A100", {"bf16", "int8"},
         {"fp8", "fp8-block", "awq", "gptq", "int8-gptq", "nvfp4", "mxfp4"}),
        ("vllm", "0.33.0", "B200", {"bf16", "fp8", "fp8-block", "nvfp4", "mxfp4"}, {"awq", "gptq", "int8-gptq"}),
        ("vllm", "0.9.2", "T4", {"bf16", "int8"},
         {"fp8", "fp8-block", "awq", "gptq", "int8-gptq", "nf4", "bnb-int8", "gguf"}),
        ("tensorrt-llm", "1.2.1", "H100", {"bf16", "fp8", "fp8-block"}, {"awq", "gptq", "mxfp4"}),
        ("llama.cpp", "", "P100", set(), {"gguf"}),
        ("no such engine", "", "L40S", set(), set()),
    ],
)  # fmt: skip
def test_all_that_starts_on_a_gpu(engine: str, version: str, gpu: str, native: set[str], weight_only: set[str]) -> None:
    found = supports().methods(engine, version, gpus().find(gpu)[0])
    assert {name for name, each in found if each.way is Way.NATIVE} == native
    assert {name for name, each in found if each.way is Way.WEIGHT_ONLY} == weight_only


def test_a_cpu_runs_what_says_so() -> None:
    assert [name for name, _ in supports().methods("llama.cpp", "", None)] == ["gguf"]
    assert supports().methods("vllm", "", None) == ()
    assert supports().find("onnxruntime", "", "int8", None).way is Way.NATIVE


def test_the_flag_is_said_where_an_engine_needs_it() -> None:
    l40s = gpus().find("L40S")[0]
    assert supports().find("vllm", "0.33.0", "fp8", l40s).flag == "--quantization fp8"
    assert supports().find("sglang", "0.5.23", "int8", l40s).flag == "--quantization w8a8_int8"
    assert supports().find("vllm", "0.33.0", "awq", l40s).flag == ""  # it sees that by itself


def test_every_row_has_a_source_places_that_mean_something_and_a_span() -> None:
    place = re.compile(r"\d+\.\d\+?|\d+\.\d-\d+\.\d|gfx\d{2}[\da-f]|any")
    formats = {name.partition(":")[0] for name in PRECISIONS} | {"fp8-block", "gguf"}
    known = supports()
    for engine in known.engines.values():
        for row in (*engine.methods, *engine.kv):
            assert row.source, row
            assert row.native or row.weight_only, row
            assert all(place.fullmatch(each) for each in (*row.native, *row.weight_only)), row
            assert (order(row.since) or ()) <= (order(row.until) or (10**9,)), row
        assert {name for row in engine.methods for name in row.names} <= formats
        assert not engine.state or known.engines[engine.successor].state == ""
        assert all(each.source and each.where for each in engine.runs_on)
    assert all(form.instead and bool(form.engines) != bool(form.edge) for form in known.forms.values())


def test_rows_of_a_format_do_not_speak_of_one_version_twice() -> None:
    for engine in supports().engines.values():
        for name in {name for row in engine.methods for name in row.names}:
            spans = sorted((_span(row) for row in engine.methods if name in row.names), key=lambda span: span[0])
            assert all(before[1] < after[0] for before, after in pairwise(spans)), (
                engine.name,
                name,
            )


def _span(row: Row) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return order(row.since) or (), order(row.until) or (10**9,)
