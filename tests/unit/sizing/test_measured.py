"""What a user measured takes the place of what is assumed: four factors, found again where they were put in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.diagnostics import InfctlError
from infctl.ops.measured import fitted_to
from infctl.ops.size import Asked, case_of, size_table
from infctl.sizing.calibration import Constants
from infctl.sizing.case import Case, Load
from infctl.sizing.measured import FITTED, Factors, Measured, applied, device, fit
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.predict import Verdict, expected, predict

_LLAMA = models().find("meta-llama/Llama-3.1-8B")
assert _LLAMA is not None
L40S = Case(_LLAMA, gpus().find("L40S"), PRECISIONS["bf16"], "vllm", isl=1000, osl=200)
LOADS = tuple(
    replace(L40S, load=load, concurrency=many, isl=isl)
    for load in (Load.CONCURRENCY, Load.STATIC_BATCH)
    for many, isl in ((1, 200.0), (1, 3000.0), (24, 500.0))
)


def rows(truth: Factors, cases: tuple[Case, ...] = LOADS) -> list[Measured]:
    """Return what a device that differs by `truth` would have measured."""
    found = [(case, expected(case, truth)) for case in cases]
    return [Measured(case, {name: said[name] for name in FITTED if name in said}) for case, said in found]


def test_nothing_measured_changes_nothing() -> None:
    assert fit([], expected) == Factors()
    assert predict(L40S, Factors()).metrics == predict(L40S).metrics


def test_factors_that_were_put_in_come_out() -> None:
    truth = Factors(memory=0.8, compute=1.3, passes=1.5, sequences=1.2)
    found = fit(rows(truth), expected)
    assert found.memory == pytest.approx(0.8, rel=0.05)
    assert found.compute == pytest.approx(1.3, rel=0.05)
    assert found.passes == pytest.approx(1.5, rel=0.2)
    elsewhere = replace(L40S, concurrency=8, isl=2000.0, osl=400.0)
    for name in ("tpot_mean_ms", "ttft_mean_ms", "out_tok_s"):
        assert expected(elsewhere, found)[name] == pytest.approx(expected(elsewhere, truth)[name], rel=0.03)


def test_what_a_run_does_not_tell_stays_where_it_was() -> None:
    (alone,) = rows(Factors(memory=0.7), (replace(L40S, isl=16.0, osl=64.0),))
    found = fit([Measured(alone.case, {"tpot_mean_ms": alone.figures["tpot_mean_ms"]})], expected)
    assert found.memory == pytest.approx(0.72, abs=0.05)
    assert found.compute == pytest.approx(1.0, abs=0.02)
    assert found.spread < 0.12


def test_a_device_that_nobody_knows_is_what_was_measured() -> None:
    processor = replace(L40S, gpus=(device("EPYC 9654"),), engine="llama.cpp", precision=PRECISIONS["gguf:Q4_K_M"])
    cases = tuple(replace(processor, concurrency=many, isl=isl) for many, isl in ((1, 64.0), (4, 64.0), (1, 900.0)))
    truth = Factors(memory=3.0, compute=0.4, passes=2.0, sequences=5.0)
    found = fit(rows(truth, cases), expected, known=False)
    asked = replace(processor, concurrency=3, isl=300.0, osl=120.0)
    assert expected(asked, found)["out_tok_s"] == pytest.approx(expected(asked, truth)["out_tok_s"], rel=0.05)
    said = predict(asked, found)
    assert said.verdict is Verdict.OK
    assert "3 of your own rows" in said.basis


def test_a_fit_narrows_the_range_and_says_so() -> None:
    found = fit(rows(Factors(memory=0.9)), expected)
    before, after = predict(L40S).metrics["tpot_mean_ms"], predict(L40S, found)
    narrow = after.metrics["tpot_mean_ms"]
    assert narrow.high / narrow.low < before.high / before.low
    assert "6 of your own rows" in after.basis


def test_faster_is_faster() -> None:
    gpu, constants = applied(L40S.gpu, Constants(1, 1, 1, 1, 1e-5, 0, 0, 1, 1, 0), Factors(2.0, 3.0, 4.0, 5.0))
    assert (gpu.bandwidth, gpu.fp16, gpu.fp8) == (2 * 864, 3 * 362, 3 * 733)
    assert constants.layer == pytest.approx(4e-5)


COLUMNS = "id,model,gpu,engine,precision,isl,osl,load_type,concurrency,tpot_mean_ms\n"


def test_a_file_speaks_of_its_own_engine_device_and_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(COLUMNS + "a,Qwen/Qwen3-8B,NVIDIA L40S,vllm,bf16,500,200,concurrency,1,60\n")
    of = fitted_to(path)
    asked = Asked("Qwen/Qwen3-8B", "L40S", precision="bf16", isl=100.0, osl=100.0)
    found = of(asked)
    assert found is not None
    assert found.memory < 0.6
    assert of(replace(asked, engine="sglang")) is None
    assert of(replace(asked, gpu="RTX 4090")) is None
    assert of(replace(asked, model="Qwen/Qwen3-14B")) is None
    slow, plain = predict(case_of(asked), found), predict(case_of(asked))
    assert slow.metrics["tpot_mean_ms"].value > 1.5 * plain.metrics["tpot_mean_ms"].value


def test_a_table_is_answered_with_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(COLUMNS + "a,Qwen/Qwen3-0.6B,Ryzen 7,llama.cpp,q8_0,100,100,concurrency,1,25\n")
    row = {"id": "x", "model": "Qwen/Qwen3-0.6B", "gpu": "Ryzen 7", "engine": "llama.cpp", "precision": "q8_0",
           "isl": "100", "osl": "100", "load_type": "concurrency", "concurrency": "1"}  # fmt: skip
    assert size_table([row])[0]["verdict"] == "unknown"
    (answer,) = size_table([row], fitted=fitted_to(path))
    assert answer["verdict"] == "ok"
    assert float(answer["tpot_mean_ms"]) == pytest.approx(25, rel=0.1)


def test_a_row_that_means_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(COLUMNS + "a,Qwen/Qwen3-8B,L40S,vllm,bf16,many,200,concurrency,1,60\n")
    with pytest.raises(InfctlError) as told:
        fitted_to(path)
    assert "isl is no number" in told.value.diagnostics[0].detail
