"""A user's own catalogue file: what it adds and what it changes."""

from __future__ import annotations

from pathlib import Path

from infctl.catalog.files import find_own
from infctl.catalog.gpus import gpus
from infctl.catalog.instances import instances
from infctl.catalog.models import models
from infctl.catalog.support import Way, supports
from infctl.spec.which import find


def written(tmp_path: Path, text: str) -> str:
    own = tmp_path / "inference.catalog.yaml"
    own.write_text(text)
    return str(own)


def test_it_is_found_beside_the_configuration_and_a_named_one_beats_it(tmp_path: Path) -> None:
    assert not find_own(tmp_path)
    own = written(tmp_path, "gpus: []\n")
    assert find_own(tmp_path) == own
    assert find_own(tmp_path, "/etc/other.yaml") == "/etc/other.yaml"


def test_a_row_of_a_known_name_changes_only_what_it_says(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        "gpus: [{name: L40S, memory: 45.5, aliases: [our big card]}]\n"
        "models: {Qwen/Qwen3-8B: {context: 131072}}\n"
        "ambiguous: {bigcard: [L40S, L40]}\n",
    )
    found = gpus(own).find("our big card")[0]
    assert (found.name, found.memory, found.bandwidth) == ("L40S", 45.5, 864)
    assert gpus(own).find("NVIDIA L40S")[0] is found
    assert [gpu.name for gpu in gpus(own).find("bigcard")] == ["L40S", "L40"]
    shape = models(own).find("Qwen/Qwen3-8B")
    assert shape is not None
    assert (shape.context, shape.layers) == (131072, 36)


def test_a_new_row_of_each_kind(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        "gpus: [{name: X1, compute: '13.0', memory: 99, label: 100, bandwidth: 9000, fp16: 999}]\n"
        "models: {acme/tiny: {hidden: 64, layers: 2, heads: 4, kv_heads: 4, head_dim: 16, mlp: 128, vocab: 256}}\n"
        "instances: {rack.x1: {cloud: own, gpu: X1, count: 2, vcpus: 8, memory: 64}}\n"
        "formats: {mlx: {edge: MLX, instead: name the safetensors checkpoint}}\n"
        "engines: {ours: {methods: [{names: [fp8], native: ['13.0+'], source: our wiki}]}}\n",
    )
    gpu = gpus(own).find("x1")[0]
    assert gpu.sm == 130
    shape = models(own).find("acme/tiny")
    assert shape is not None
    assert shape.total == 2 * (4 * 64 * 64 + 3 * 64 * 128) + 2 * 256 * 64 + 5 * 64
    assert instances(own).rows["rack.x1"].gpu == "X1"
    table = supports(own)
    assert table.forms["mlx"].edge == "MLX"
    assert table.find("ours", "", "fp8", gpu).way is Way.NATIVE
    assert table.find("ours", "", "fp8", gpus().find("L40S")[0]).way is Way.NO


def test_what_it_says_of_a_format_stands_in_place_of_what_ships(tmp_path: Path) -> None:
    own = written(
        tmp_path, "engines: {vllm: {methods: [{names: [nf4], weight_only: ['8.0+'], source: with the plugin}]}}\n"
    )
    l40s = gpus().find("L40S")[0]
    assert supports().find("vllm", "0.33.0", "nf4", l40s).way is Way.NO
    assert supports(own).find("vllm", "0.33.0", "nf4", l40s).way is Way.WEIGHT_ONLY
    assert supports(own).find("vllm", "0.33.0", "fp8", l40s).way is Way.NATIVE  # the rest is as it was
    assert supports(own).find("vllm", "0.33.0", "bnb-int8", l40s).way is Way.NO
    assert "Qwen3ForCausalLM" in (supports(own).engines["vllm"].classes or {})


def test_ones_own_price_of_what_was_only_fetched(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        "fetched:\n  price_as_of: 2026-11-21\n  sources: {aws: {say: a list, date: 2026-11-21}}\n  instances:\n"
        "    g9.xlarge: {cloud: aws, gpu: L4, count: 1, vcpus: 4, memory: 16,"
        " prices: [{buy: on_demand, region: us-east-1, usd: 0.7, source: aws}]}\n"
        "instances: {g9.xlarge: {prices: [{buy: on_demand, region: us-east-1, usd: 0.5, source: s}]}}\n",
    )
    found = instances(own).rows["g9.xlarge"]
    price = found.price()
    assert price is not None
    assert (found.gpu, price.usd, [row.usd for row in found.disputed()]) == ("L4", 0.5, [0.7])


def test_it_is_no_part_of_the_configuration_of_its_folder(tmp_path: Path) -> None:
    written(tmp_path, "gpus: []\n")
    (tmp_path / "inference.yaml").write_text("name: s\n")
    assert find(tmp_path, [Path()]) == ([Path("inference.yaml")], [])
