"""Owns how many bytes a model's weights and its KV cache take, in all and on each GPU. Pure.

Knows no engine's habits: what else lies in a GPU's memory is `budget`'s.
"""

from __future__ import annotations

from infctl.catalog.architecture import Architecture
from infctl.sizing.gguf_mix import mixed_bytes
from infctl.sizing.precision import PRECISIONS, Precision

KEPT_BYTES = 2  # embeddings, output, routers and norms stay in 16 bits whatever the method (SIZING 1.1)
_ROPE = 2  # bytes of a number in the table of rotations


def weight_bytes(shape: Architecture, precision: Precision, *, kept: float = 0.0) -> float:
    """Return the bytes of all weights; of a GGUF file those of the mixture that its type names.

    `kept` is the part (0 to 1) of the linear layers that the checkpoint leaves in 16 bits:
    `quantization_config.ignore` or `modules_to_not_convert` say which.
    """
    if precision.whole:
        usual = PRECISIONS.get(precision.name) == precision
        mixed = mixed_bytes(shape, precision.name.removeprefix("gguf:")) if usual else None
        return (shape.total - shape.beside) * precision.bits / 8 if mixed is None else mixed
    linear = shape.linear * ((1 - kept) * precision.bits / 8 + kept * KEPT_BYTES)
    return linear + (shape.embeddings + shape.router + shape.norms + shape.beside) * KEPT_BYTES


def weight_bytes_per_gpu(
    shape: Architecture, precision: Precision, gpus: int, *, kept: float = 0.0, pipeline: int = 1
) -> float:
    """Return the bytes on each of `gpus` that share the model: `pipeline` stages, each by tensor parallel. Of uneven
    stages, those of the fullest.

    Routers, norms, and of latent attention what makes the latents are on every rank of a stage; where there are more
    ranks than KV heads, each KV head's projections are on several.
    """
    ranks = max(1, gpus // max(1, pipeline))
    each = precision.bits / 8
    once = 0.0
    if shape.latent:
        once = shape.layers * shape.hidden * (shape.q_rank + shape.kv_rank + shape.rope_dim) * each
    elif shape.kv_heads < ranks:
        repeated = 2 * shape.hidden * shape.head_dim * shape.kv_heads * shape.layers * each
        once = repeated * (ranks / shape.kv_heads - 1) / (ranks - 1)
    if not precision.whole:
        once += (shape.router + shape.norms) * KEPT_BYTES
    whole = weight_bytes(shape, precision, kept=kept)
    return _fullest((whole + (ranks - 1) * once) / ranks, shape, precision, ranks, pipeline)


def _fullest(stage: float, shape: Architecture, precision: Precision, ranks: int, stages: int) -> float:
    """Return the bytes of the fullest of `stages` where all layers and embeddings together take `stage`: the first has
    the table of tokens, the last the output, and layers that cannot be shared evenly go to those between them
    (vllm/distributed/utils.py, get_pp_indices).
    """
    if stages <= 1:
        return stage
    each = precision.bits / 8 if precision.whole else KEPT_BYTES
    table = shape.vocab * shape.hidden * each / ranks
    tables = 1 if shape.encoder else 2  # a tied one is on both ends
    layer = (stage - table * (1 if shape.tied or shape.encoder else 2)) / max(1, shape.layers)
    least, left = divmod(shape.layers, stages)
    ends = (least + (1 if left > stages - 2 else 0)) * layer + (table if tables else 0.0)
    between = (least + (1 if left else 0)) * layer if stages > 2 else 0.0  # noqa: PLR2004  # the two ends
    return max(ends, between)


def rope_bytes(shape: Architecture, context: int) -> float:
    """Return the bytes of the table of rotations that every rank keeps for a context of so many tokens."""
    width = shape.rope_dim if shape.latent else shape.head_dim
    return 0.0 if shape.encoder or shape.positions else context * width * _ROPE


def absorbed_bytes(shape: Architecture, gpus: int) -> float:
    """Return the bytes on each of `gpus` of what turns latents into keys and values, which engines keep once more in 16
    bits so that attention can read latents (DeepSeek-V2, arXiv:2405.04434, 2.1.2; vllm, MLACommonImpl).
    """
    up = shape.kv_rank * shape.heads * (shape.nope_dim + shape.v_dim)
    return shape.layers * up * KEPT_BYTES / gpus if shape.latent else 0.0


def kv_bytes(shape: Architecture, tokens: float, bytes_each: float, tensor: int = 1) -> float:
    """Return the bytes on each GPU that one sequence of so many tokens takes in the KV cache.

    Tensor parallel divides the KV heads, as long as there are enough of them; a latent cache it does not divide. States
    of layers without attention are divided by their heads.
    """
    ranks = 1 if shape.latent else min(tensor, max(1, shape.kv_heads))
    return shape.kv_elements(tokens) * bytes_each / ranks + shape.state / tensor


def kv_bytes_alike(shape: Architecture, bytes_each: float, tensor: int = 1) -> float:
    """Return the bytes on each GPU of one token if every layer kept the whole context."""
    ranks = 1 if shape.latent else min(tensor, max(1, shape.kv_heads))
    return shape.layers * shape.kv_each * bytes_each / ranks
