"""Owns how many bytes a model's weights and its KV cache take, in all and on each GPU. Pure.

Knows no engine's habits: what else lies in a GPU's memory is `budget`'s.
"""

from __future__ import annotations

from infctl.catalog.architecture import Architecture
from infctl.sizing.precision import Precision

KEPT_BYTES = 2  # embeddings, output, routers and norms stay in 16 bits whatever the method (SIZING 1.1)


def weight_bytes(shape: Architecture, precision: Precision, *, kept: float = 0.0) -> float:
    """Return the bytes of all weights. `kept` is the part (0 to 1) of the linear layers that the checkpoint leaves
    in 16 bits: `quantization_config.ignore` or `modules_to_not_convert` say which.
    """
    if precision.whole:
        return shape.total * precision.bits / 8
    linear = shape.linear * ((1 - kept) * precision.bits / 8 + kept * KEPT_BYTES)
    return linear + (shape.embeddings + shape.router + shape.norms) * KEPT_BYTES


def weight_bytes_per_gpu(shape: Architecture, precision: Precision, gpus: int, *, kept: float = 0.0) -> float:
    """Return the bytes on each of `gpus` that share the model by tensor or pipeline parallel.

    Where more GPUs than KV heads share it by tensor parallel, each KV head's projections are on several.
    """
    repeated = 0.0
    if not shape.latent and shape.kv_heads < gpus:
        once = 2 * shape.hidden * shape.head_dim * shape.kv_heads * shape.layers * precision.bits / 8
        repeated = once * (gpus / shape.kv_heads - 1)
    return (weight_bytes(shape, precision, kept=kept) + repeated) / gpus


def kv_bytes(shape: Architecture, tokens: float, bytes_each: float, tensor: int = 1) -> float:
    """Return the bytes on each GPU that one sequence of so many tokens takes in the KV cache.

    Tensor parallel divides the KV heads, as long as there are enough of them; a latent cache it does not divide.
    """
    ranks = 1 if shape.latent else min(tensor, max(1, shape.kv_heads))
    return shape.kv_elements(tokens) * bytes_each / ranks
