"""Owns what engines make of weights while they load them: kernels want other widths than checkpoints have. Pure.

MXFP4 experts are padded: by Marlin both widths of an expert to 128 and 256 elements, by Triton's kernels for Hopper the
numbers but not the scales to 256 (vllm/model_executor/layers/quantization/mxfp4.py).
"""

from __future__ import annotations

from dataclasses import replace

from infctl.catalog.architecture import Architecture
from infctl.sizing.case import Case
from infctl.sizing.precision import Precision

_WIDTH, _HIDDEN = 128, 256  # elements that the widths are padded to multiples of
_NUMBER, _SCALE = 4.0, 0.25  # bits of an MXFP4 number and its part of a scale
_MAKES = frozenset({"vllm", "sglang"})


def packed_weights(case: Case) -> tuple[Architecture, Precision]:
    """Return the shape and format that the engine keeps; mostly those of the checkpoint."""
    shape, precision = case.shape, case.precision
    if precision.name != "mxfp4" or not shape.experts or case.engine not in _MAKES or case.kept >= 1:
        return shape, precision
    hidden = _up(shape.hidden, _HIDDEN) / shape.hidden
    if precision.layout == "triton":
        grown = (_NUMBER * hidden + _SCALE) / (_NUMBER + _SCALE)
    else:
        share = -(-shape.expert_mlp // case.tensor)
        grown = hidden * _up(share, _WIDTH) * case.tensor / shape.expert_mlp
    return shape, replace(precision, bits=precision.bits * grown)


def _up(count: int, to: int) -> int:
    return -(-count // to) * to
