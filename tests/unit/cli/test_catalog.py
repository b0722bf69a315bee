"""`infctl catalog`: what is listed, what is found by which name, what is not there, and what an update brings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import Shell
from tests.unit.catalog.test_prices import CALCULATOR, CSV
from tests.unit.cli.price_server import serving


def test_gpus_and_models_are_listed(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    gpus = shell("catalog", "list", "gpus").out.splitlines()
    assert gpus[0].split() == ["GPU", "MEMORY", "BANDWIDTH", "FP16", "FP8", "LINK", "COMPUTE"]
    assert any(line.split()[:2] == ["L40S", "44.4"] for line in gpus)
    models = json.loads(shell("catalog", "list", "models", "-json").out)
    assert {row["name"]: row["parameters"] for row in models}["Qwen/Qwen3-8B"] == 8190726144


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("instances", ["p5.48xlarge", "8", "x", "H100-SXM-80GB", "8", "192", "2,048", "GiB", "55.04", "6.88"]),
        ("prices", ["p5.48xlarge", "on_demand", "us-east-1", "98.32", "12.29", "2025-05-31", "older"]),
        ("engines", ["tgi", "archived:", "vllm"]),
        ("support", ["vllm", "gguf", "-", "7.0+", "gfx942", "gfx950", "up", "to", "0.23.0"]),
        ("quality", ["gguf:Q2_K", "62.6", "%", "68.7", "%"]),
    ],
)
def test_every_kind_is_listed(tmp_path: Path, kind: str, words: list[str]) -> None:
    shell = Shell(tmp_path)
    assert any(line.split()[: len(words)] == words for line in shell("catalog", "list", kind).out.splitlines())
    assert json.loads(shell("catalog", "list", kind, "-json").out)


def test_lists_of_prices_say_of_when_they_are_and_may_be_of_one_gpu(tmp_path: Path) -> None:
    done = Shell(tmp_path)("catalog", "list", "instances", "-gpu", "NVIDIA L40S")
    assert {line.partition(".")[0] for line in done.out.splitlines()[1:-2]} == {"g6e"}
    assert "Prices as of 2026-09-01" in done.last
    done = Shell(tmp_path)("catalog", "list", "instances", "-gpu", "L40T")
    assert (done.code, 'did you mean "L40' in done.err) == (1, True)


def test_one_row_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "RTX-4090-24GB" in shell("catalog", "show", "NVIDIA GeForce RTX 4090").out
    assert [row["name"] for row in json.loads(shell("catalog", "show", "H100-80GB", "-json").out)] == [
        "H100-SXM-80GB", "H100-PCIe-80GB",
    ]  # fmt: skip
    assert "Meta-Llama-3.1-8B" in shell("catalog", "show", "hf://meta-llama/Llama-3.1-8B-Instruct").out
    assert "A100-PCIe-80GB" in shell("catalog", "show", "nc24ads_a100_v4").out
    assert "its repository is archived" in shell("catalog", "show", "tgi").out
    assert "AngelSlim" in shell("catalog", "show", "awq").out


def test_a_gpu_says_where_it_is_rented_out_for_least(tmp_path: Path) -> None:
    assert "1.86 USD/h a GPU: g6e.xlarge, us-east-1, as of 2026-05-07" in Shell(tmp_path)("catalog", "show", "L40S").out


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    done = Shell(tmp_path)("catalog", "show", "L40T")
    assert (done.code, 'did you mean "L40' in done.err) == (1, True)


def test_the_file_beside_the_configuration_is_read_without_being_named(tmp_path: Path) -> None:
    (tmp_path / "inference.catalog.yaml").write_text("gpus:\n- {name: L40S, memory: 45.5}\n")
    assert json.loads(Shell(tmp_path)("catalog", "show", "L40S", "-json").out)[0]["memory"] == 45.5
    (tmp_path / "wrong").mkdir()
    (tmp_path / "wrong" / "inference.catalog.yaml").write_text("gpus:\n- {name: L40S, memry: 45.5}\n")
    done = Shell(tmp_path / "wrong")("catalog", "list", "gpus")
    assert done.code == 1
    assert "inference.catalog.yaml:2:16" in done.err
    assert 'did you mean "memory"?' in done.err


def test_an_update_says_what_changed_and_writes_it_down(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    with serving({"/vms.csv": CSV, "/pricing.yml": CALCULATOR}) as address:
        done = shell("catalog", "update", "aws", f"-url={address}/vms.csv")
        more = shell("catalog", "update", "gcp", f"-url={address}/pricing.yml", "-json")
        again = shell("catalog", "update", "aws", f"-url={address}/vms.csv")
    assert f"Fetching {address}/vms.csv" in done.err
    assert done.out.splitlines()[0] == "aws: 4 of 9 prices are of use, 4 changed."
    assert "p5.48xlarge  on_demand  us-east-1  55.04  -> 50 USD/h     -9 %" in done.out
    assert "g9.xlarge    on_demand  us-east-1  new    -> 0.7 USD/h" in done.out
    assert done.last == "Written to inference.catalog.yaml."
    assert [row["after"] for row in json.loads(more.out)["lists"][0]["changed"]] == [3.5, 1.25]
    assert again.out.splitlines()[0] == "aws: 4 of 9 prices are of use, 0 changed."
    prices = json.loads(shell("catalog", "list", "prices", "-json").out)
    held = {(row["instance"], row["purchase"], row["region"]): row for row in prices if row["counts"]}
    assert held["p5.48xlarge", "spot", "us-east-1"]["usd"] == 19.25
    assert held["p5.48xlarge", "on_demand", "us-east-1"]["source"] == f"{address}/vms.csv"
    assert held["a2-highgpu-1g", "on_demand", "us-central1"]["usd"] == 3.5


def test_an_update_of_one_region_only(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    with serving({"/vms.csv": CSV}) as address:
        done = shell("catalog", "update", "aws", f"-url={address}/vms.csv", "-region=eu-west-1", "-catalog=mine.yaml")
        none = shell("catalog", "update", "aws", f"-url={address}/vms.csv", "-region=ap-east-1")
    assert "aws: 1 of 9 prices are of use" in done.out
    assert "eu-west-1" in (tmp_path / "mine.yaml").read_text()
    assert (none.code, "none of its 9 prices is of a known instance in ap-east-1" in none.err) == (1, True)


@pytest.mark.parametrize(
    ("path", "why"), [("/gone.csv", "the server answered 404"), ("/page.html", "it is neither a CSV of prices nor")]
)
def test_an_update_that_fails_changes_nothing(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "inference.catalog.yaml").write_text("gpus: []  # ours\n")
    with serving({"/page.html": b"<html>moved</html>"}) as address:
        done = Shell(tmp_path)("catalog", "update", "aws", f"-url={address}{path}")
    assert done.code == 1
    assert "prices-not-fetched" in done.err
    assert why in done.err
    assert (tmp_path / "inference.catalog.yaml").read_text() == "gpus: []  # ours\n"
    assert [each.name for each in tmp_path.iterdir()] == ["inference.catalog.yaml"]


def test_what_may_be_secret_in_an_address_is_neither_written_nor_said(tmp_path: Path) -> None:
    with serving({"/vms.csv": CSV}) as address:
        done = Shell(tmp_path)("catalog", "update", "aws", f"-url={address}/vms.csv?token=s3cr3t")
        gone = Shell(tmp_path)("catalog", "update", "aws", f"-url={address}/gone.csv?token=s3cr3t")
    said = done.out + done.err + gone.out + gone.err + (tmp_path / "inference.catalog.yaml").read_text()
    assert (done.code, gone.code) == (0, 1)
    assert "s3cr3t" not in said
    assert f"{address}/vms.csv" in said


def test_an_update_without_a_server_says_so(tmp_path: Path) -> None:
    with serving({}) as address:
        pass
    done = Shell(tmp_path)("catalog", "update", "aws", f"-url={address}/vms.csv")
    assert (done.code, "no answer:" in done.err) == (1, True)
    done = Shell(tmp_path)("catalog", "update", "aws", "-url=file:///etc/passwd")
    assert (done.code, "only http:// and https://" in done.err) == (1, True)
    assert Shell(tmp_path)("catalog", "update", "-url=http://x").code == 1  # of which cloud?
