"""`infctl size`: one question, many questions, and questions that make no sense."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.shell import Shell

ASKED = ("size", "-model", "Llama-3.1-8B", "-gpu", "L40S", "-isl", "1000", "-osl", "200")


def test_one_answer_as_a_document(tmp_path: Path) -> None:
    done = Shell(tmp_path)(*ASKED, "-json", "-max-model-len", "8192", "-gpu-memory-utilization", "0.9")
    found = json.loads(done.out)
    memory = found["memory"]
    assert (done.code, found["verdict"], found["fits"]) == (0, "ok", True)
    assert round(memory["weights"], 2) == 14.96
    assert memory["kv_bytes_per_token"] == 131072
    assert memory["usable"] == 0.9 * memory["gpu"]
    assert memory["kv_tokens"] * memory["kv_bytes_per_token"] <= memory["kv"] * 1024**3


def test_text_says_what_the_document_says(tmp_path: Path) -> None:
    out = Shell(tmp_path)(*ASKED).out
    assert "Llama-3.1-8B on 1 x L40S  vllm, bf16" in out
    assert "14.99 GiB" in out  # with the table of rotations for all that the model reads
    assert "It fits." in out


def test_what_does_not_fit_is_said_and_fails(tmp_path: Path) -> None:
    done = Shell(tmp_path)("size", "-model", "Llama-3.1-70B", "-gpu", "L40S")
    assert done.code == 1
    assert "Infeasible: the weights leave no room" in done.out


def test_what_runs_otherwise_than_one_would_think_is_noted_with_what_to_do(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    done = shell("size", "-model", "Llama-3.1-8B", "-gpu", "A100-SXM-80GB", "-precision", "fp8")
    assert done.code == 0
    assert "Note: fp8 runs weight-only on A100-SXM-80GB" in done.out
    assert "Instead: use int8 (W8A8)" in done.out
    larger = json.loads(shell("size", "-model", "Llama-3.1-70B", "-gpu", "L40S", "-json").out)
    assert [note["instead"] for note in larger["notes"]] == ["tensor: 4"]
    old = shell("size", "-model", "Qwen3-8B", "-gpu", "T4", "-engine", "tensorrt-llm")
    assert old.out.count("Instead: engine: vllm.") == 1


def test_every_word_that_means_nothing_is_told_at_once(tmp_path: Path) -> None:
    err = Shell(tmp_path)(
        "size", "-model", "Llama-3.1-8b-v9000x", "-gpu", "H10", "-precision", "fp9", "-gpus", "3", "-tp", "2"
    ).err
    assert err.count("error[cannot-size]") == 4
    assert 'did you mean "fp8"?' in err


def test_loads_exclude_each_other(tmp_path: Path) -> None:
    assert "exclude each other" in Shell(tmp_path)(*ASKED, "-offline", "-concurrency", "4").err
    assert "4/s" in Shell(tmp_path)(*ASKED, "-rate", "often").err


def test_a_table_is_answered_row_by_row_and_what_was_measured_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "id,model,gpu,gpu_count,tp,precision,engine,isl,osl,load_type,concurrency,tpot_mean_ms\n"
        "a,meta-llama/Llama-3.1-8B,H100-80GB,1,1,bf16,vllm,1000,200,concurrency,8,99999\n"
        "b,meta-llama/Llama-3.1-70B,RTX 3090,1,1,bf16,vllm,1000,200,concurrency,8,\n"
        "c,acme/secret,H100-80GB,1,1,bf16,vllm,1000,200,concurrency,8,\n"
        "d,meta-llama/Llama-3.1-8B,H100-80GB,1,1,bf16,vllm,lots,200,concurrency,8,\n"
    )
    done = Shell(tmp_path)("size", "-batch", "rows.csv", "-out", "answers.csv")
    assert done.out == "4 rows: 2 unknown, 1 ok, 1 infeasible. Written to answers.csv.\n"
    with (tmp_path / "answers.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert [rows[name]["verdict"] for name in "abcd"] == ["ok", "infeasible", "unknown", "unknown"]
    assert "acme/secret" in rows["c"]["reason"]
    assert rows["d"]["reason"] == "isl is no number: 'lots'"
    assert not rows["b"]["tpot_mean_ms"]
    assert rows["a"]["tpot_mean_ms"] != "99999"


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("name,value\na,1\n")
    assert "has no column gpu, id, model" in Shell(tmp_path)("size", "-batch", "rows.csv", "-out", "o.csv").err
    assert "belong together" in Shell(tmp_path)("size", "-batch", "rows.csv").err


def test_llama_cpp_with_only_a_width_runs_its_own_format(tmp_path: Path) -> None:
    say = Shell(tmp_path)
    asked = ("size", "-model", "Llama-3.1-8B", "-gpu", "L40S", "-engine", "llama.cpp", "-json", "-precision")
    width, own = (json.loads(say(*asked, name).out)["memory"]["weights"] for name in ("int4", "q4_0"))
    assert width == own


def test_checkpoints_with_scales_for_the_cache_keep_it_in_fp8(tmp_path: Path) -> None:
    say = Shell(tmp_path)
    asked = ("size", "-gpu", "MI300X", "-precision", "fp8", "-json", "-model")
    names = ("meta-llama/Llama-3.1-70B-Instruct", "amd/Llama-3.1-70B-Instruct-FP8-KV")
    plain, scaled = (json.loads(say(*asked, name).out)["memory"]["kv_bytes_per_token"] for name in names)
    assert plain == 2 * scaled
