"""How long a pass takes, against examples worked by hand, and what must hold whatever the constants are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.catalog.gpus import gpus
from infctl.catalog.models import models
from infctl.sizing.calibration import Constants
from infctl.sizing.precision import PRECISIONS
from infctl.sizing.serving import token_seconds
from infctl.sizing.speed import Machine, decode_seconds, pass_seconds, prefill_seconds

IDEAL = Constants(1, 1, 1, 1, 0, 0, 0, 1, 1, 0)
_LLAMA = models().find("meta-llama/Llama-3.1-8B")
assert _LLAMA is not None
MACHINE = Machine(_LLAMA, PRECISIONS["bf16"], gpus().find("H100-SXM-80GB")[0], IDEAL)


def test_one_stream_reads_the_weights_and_its_cache_for_each_token() -> None:
    """8.03e9 parameters less the table of 128256 x 4096 that is only looked up, 2 bytes each, at 3350 GB/s; and 1000
    tokens of 131072 bytes."""
    read = (8.03e9 - 128256 * 4096) * 2 / 3350e9
    assert decode_seconds(MACHINE, 1, 1000) == pytest.approx(read + 1000 * 131072 / 3350e9, rel=0.001)


def test_a_long_prompt_is_bound_by_its_products() -> None:
    """2 x 6.98e9 x 4096 products at 989 TFLOPS, and 32 layers of attention among 4096 tokens."""
    linear = 2 * 6.98e9 * 4096 / 989e12
    scores = 4 * 32 * 4096 * 4096**2 / 2 / 989e12
    assert prefill_seconds(MACHINE, 4096) == pytest.approx(linear + scores, rel=0.03)


def test_fp8_halves_what_is_read_and_doubles_what_is_computed_only_where_the_hardware_has_it() -> None:
    hopper = replace(MACHINE, precision=PRECISIONS["fp8"])
    ampere = replace(hopper, gpu=gpus().find("A100-SXM-80GB")[0])
    assert hopper.flops == pytest.approx(2 * MACHINE.flops, rel=0.01)
    assert ampere.flops == pytest.approx(312e12 * 0.86 / 0.8)  # what its clock keeps up, against an H100's
    assert hopper.touched(1) < 0.6 * MACHINE.touched(1)


def test_tensor_parallel_divides_the_work_and_pays_for_talking() -> None:
    free = replace(MACHINE, tensor=2)
    paid = replace(free, constants=replace(IDEAL, reduce=1e-5))
    assert decode_seconds(free, 1, 100) < 0.51 * decode_seconds(MACHINE, 1, 100) + 1e-4
    assert decode_seconds(paid, 1, 100) - decode_seconds(free, 1, 100) == pytest.approx(2 * 32 * 1e-5)


def test_a_mixture_reads_more_of_its_experts_the_more_tokens_there_are() -> None:
    mixture = models().find("Qwen/Qwen3-30B-A3B")
    assert mixture is not None
    machine = replace(MACHINE, shape=mixture)
    one, many = machine.touched(1), machine.touched(512)
    assert one == pytest.approx((mixture.active_linear - mixture.router + mixture.vocab * mixture.hidden) * 2, rel=0.01)
    assert many == pytest.approx((mixture.linear + mixture.vocab * mixture.hidden) * 2, rel=0.01)


def test_more_in_flight_is_slower_for_each_and_faster_for_all() -> None:
    each = [token_seconds(MACHINE, many, 1000, 200) for many in (1, 8, 64, 256)]
    assert each == sorted(each)
    through = [many / seconds for many, seconds in zip((1, 8, 64, 256), each, strict=True)]
    assert through == sorted(through)


def test_a_pass_of_nothing_costs_only_what_is_fixed() -> None:
    fixed = replace(MACHINE, constants=replace(IDEAL, layer=1e-5, each_pass=1e-3))
    assert pass_seconds(fixed, 1, 10) - pass_seconds(MACHINE, 1, 10) == pytest.approx(1e-3 + 32e-5)


def test_kernels_that_unpack_weights_gain_less_than_the_bytes_say() -> None:
    packed = replace(MACHINE, precision=PRECISIONS["awq"])
    costly = replace(packed, constants=replace(IDEAL, packed=0.5, packed_layer=3e-5))
    read = packed.touched(1) / 3350e9
    assert decode_seconds(costly, 1, 10) - decode_seconds(packed, 1, 10) == pytest.approx(read + 32 * 3e-5, rel=0.01)
    assert decode_seconds(replace(costly, precision=PRECISIONS["bf16"]), 1, 10) == decode_seconds(MACHINE, 1, 10)


def test_llama_cpp_writes_packed_weights_out_before_a_prompt_but_not_for_a_token() -> None:
    """6.98e9 weights of 4.66 bits are read and written with 16: 18 GB at 3350 GB/s."""
    plain = replace(MACHINE, precision=PRECISIONS["gguf:Q4_0"])
    unpacking = replace(plain, constants=replace(IDEAL, unpacks=True))
    longer = prefill_seconds(unpacking, 512) - prefill_seconds(plain, 512)
    assert longer == pytest.approx(6.98e9 * (4.66 / 8 + 2) / 3350e9, rel=0.01)
    assert decode_seconds(unpacking, 1, 10) == decode_seconds(plain, 1, 10)


def test_geforce_cards_sum_in_16_bits_at_twice_their_rate() -> None:
    short = replace(MACHINE, constants=replace(IDEAL, sums_short=True))
    gaming = gpus().find("RTX 4090")[0]
    assert replace(short, gpu=gaming).flops == pytest.approx(330e12 * 1.08 / 0.8)
    assert short.flops == MACHINE.flops


def test_amds_mesh_reduces_over_all_its_links() -> None:
    """Two reductions in each of 32 layers, 7/8 of 1000 tokens x 4096 x 2 bytes twice, at 310 GB/s."""
    amd = replace(MACHINE, gpu=gpus().find("MI300X")[0], tensor=8)
    alone = replace(amd, gpu=replace(amd.gpu, link_rate=1e9))
    talked = pass_seconds(amd, 1000, 1) - pass_seconds(alone, 1000, 1)
    assert talked == pytest.approx(2 * 32 * 2 * 7 / 8 * 1000 * 4096 * 2 / 310e9, rel=0.01)


def test_every_sequence_of_a_pass_costs_its_share() -> None:
    sending = replace(MACHINE, constants=replace(IDEAL, sequence=1e-5))
    assert decode_seconds(sending, 256, 10) - decode_seconds(MACHINE, 256, 10) == pytest.approx(256e-5)
    assert prefill_seconds(sending, 512) == prefill_seconds(MACHINE, 512)


def test_a_mixture_moves_its_tokens_to_experts_and_back() -> None:
    """48 layers x 8 experts x 2048 numbers x 20 bytes for each of 1000 tokens, at 3350 GB/s, on every GPU."""
    mixture = models().find("Qwen/Qwen3-30B-A3B")
    assert mixture is not None
    plain = replace(MACHINE, shape=mixture)
    moving = replace(plain, constants=replace(IDEAL, moved=20))
    longer = pass_seconds(moving, 0, 0, 1000, 1000) - pass_seconds(plain, 0, 0, 1000, 1000)
    assert longer == pytest.approx(48 * 8 * 2048 * 20 * 1000 / 3350e9, rel=0.01)
    dense = replace(MACHINE, constants=replace(IDEAL, moved=20))
    assert pass_seconds(dense, 8, 100) == pass_seconds(MACHINE, 8, 100)


def test_passes_with_prompts_are_launched_one_kernel_after_the_other() -> None:
    eager = replace(MACHINE, constants=replace(IDEAL, eager_layer=1e-3))
    assert pass_seconds(eager, 4, 100, 64, 64) - pass_seconds(MACHINE, 4, 100, 64, 64) == pytest.approx(32e-3)
    assert pass_seconds(eager, 4, 100) == pass_seconds(MACHINE, 4, 100)


def test_a_square_corner_adds_reading_and_multiplying() -> None:
    square, round_ = (replace(MACHINE, constants=replace(IDEAL, corner=corner)) for corner in (1.0, 3.0))
    one, many = decode_seconds(square, 1e-9, 0), 200
    computed = 2 * (_active() + MACHINE.shape.vocab * MACHINE.shape.hidden) * many / MACHINE.flops
    assert decode_seconds(square, many, 0) == pytest.approx(one + computed, rel=0.01)
    assert decode_seconds(round_, many, 0) < decode_seconds(square, many, 0)


def _active() -> int:
    return MACHINE.shape.active_linear


def test_kernels_keep_so_much_in_flight() -> None:
    slow = replace(MACHINE, constants=replace(IDEAL, most_bandwidth=1000))
    assert decode_seconds(slow, 1, 0) == pytest.approx(3.35 * decode_seconds(MACHINE, 1, 0), rel=0.01)


def test_cards_with_few_ordinary_cores_unpack_slowly() -> None:
    """7.5e9 weights of Q4_0, the output's among them, five operations each, at half of 66.9 TFLOPS."""
    plain = replace(MACHINE, precision=PRECISIONS["gguf:Q4_0"])
    working = replace(plain, constants=replace(IDEAL, unpacking=5))
    unpacked, read = 7.5e9 * 5 / (66.9e12 / 2), decode_seconds(plain, 1, 10)
    assert decode_seconds(working, 1, 10) == pytest.approx((unpacked**3 + read**3) ** (1 / 3), rel=0.01)
    assert replace(working, precision=PRECISIONS["bf16"]).touched(1) > 0
    assert decode_seconds(replace(working, precision=PRECISIONS["bf16"]), 1, 10) == decode_seconds(MACHINE, 1, 10)
