"""The network and its training step: a Llama in plain jax, laid out as GGUF's architecture "llama" wants it.

Owns shapes, forward pass, loss and AdamW; knows nothing of text.
Weights are named as in GGUF and are (out, in), so that exporting them is copying them.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Weights = dict[str, jax.Array]


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    context: int = 2048
    width: int = 160
    layers: int = 4
    heads: int = 5
    hidden: int = 448
    rope_base: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head(self) -> int:
        return self.width // self.heads


def initialise(shape: Shape, seed: int) -> Weights:
    rng = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> jax.Array:
        return jnp.asarray(rng.normal(0.0, scale, (rows, columns)), jnp.float32)

    width, hidden = shape.width, shape.hidden
    inward, outward = width**-0.5, (2 * shape.layers * width) ** -0.5
    weights = {"token_embd.weight": normal(shape.vocabulary, width, 0.05), "output_norm.weight": jnp.ones(width)}
    for i in range(shape.layers):
        block = f"blk.{i}."
        for name in ("attn_q", "attn_k", "attn_v"):
            weights[f"{block}{name}.weight"] = normal(width, width, inward)
        weights[f"{block}attn_output.weight"] = normal(width, width, outward)
        weights[f"{block}ffn_gate.weight"] = normal(hidden, width, inward)
        weights[f"{block}ffn_up.weight"] = normal(hidden, width, inward)
        weights[f"{block}ffn_down.weight"] = normal(width, hidden, (2 * shape.layers * hidden) ** -0.5)
        weights[f"{block}attn_norm.weight"] = jnp.ones(width)
        weights[f"{block}ffn_norm.weight"] = jnp.ones(width)
    return weights


def normalise(x: jax.Array, weight: jax.Array, epsilon: float) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + epsilon) * weight


def rotate(x: jax.Array, positions: jax.Array, base: float) -> jax.Array:
    """Rotary positions over neighbouring pairs, the order in which llama.cpp's "llama" has them (RoFormer, eq. 34).

    x is (batch, time, heads, head); positions is (batch, time).
    """
    frequencies = base ** (-jnp.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = positions[:, :, None, None] * frequencies
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = (even * jnp.cos(angles) - odd * jnp.sin(angles), even * jnp.sin(angles) + odd * jnp.cos(angles))
    return jnp.stack(turned, -1).reshape(x.shape)


def attend(weights: Weights, block: str, x: jax.Array, positions: jax.Array, shape: Shape) -> jax.Array:
    batch, time, width = x.shape

    def project(name: str) -> jax.Array:
        return (x @ weights[f"{block}{name}.weight"].T).reshape(batch, time, shape.heads, shape.head)

    query = rotate(project("attn_q"), positions, shape.rope_base)
    key = rotate(project("attn_k"), positions, shape.rope_base)
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * shape.head**-0.5
    past = jnp.tril(jnp.ones((time, time), bool))
    mix = jax.nn.softmax(jnp.where(past, scores, -jnp.inf), -1)
    seen = jnp.einsum("bhqk,bkhd->bqhd", mix, project("attn_v")).reshape(batch, time, width)
    return seen @ weights[f"{block}attn_output.weight"].T


def predict(weights: Weights, tokens: jax.Array, positions: jax.Array, shape: Shape) -> jax.Array:
    """Logits (batch, time, vocabulary); the embedding serves as output too, which llama.cpp allows."""
    x = weights["token_embd.weight"][tokens]
    for i in range(shape.layers):
        block = f"blk.{i}."
        x += attend(weights, block, normalise(x, weights[f"{block}attn_norm.weight"], shape.epsilon), positions, shape)
        y = normalise(x, weights[f"{block}ffn_norm.weight"], shape.epsilon)
        gate = jax.nn.silu(y @ weights[f"{block}ffn_gate.weight"].T)
        x += (gate * (y @ weights[f"{block}ffn_up.weight"].T)) @ weights[f"{block}ffn_down.weight"].T
    return normalise(x, weights["output_norm.weight"], shape.epsilon) @ weights["token_embd.weight"].T


class Batch(NamedTuple):
    """Rows of whole documents, (rows, time) each: ids, their positions, and 1 for ids that are to be learned."""

    tokens: np.ndarray
    positions: np.ndarray
    learn: np.ndarray


class Learner(NamedTuple):
    """The weights and AdamW's two running means of each; `count` is how many steps were taken."""

    weights: Weights
    first: Weights
    second: Weights
    count: int | jax.Array = 0


def measure_loss(weights: Weights, batch: Batch, shape: Shape) -> jax.Array:
    """Mean cross-entropy in nats over the tokens that are to be learned."""
    logits = predict(weights, batch.tokens[:, :-1], batch.positions[:, :-1], shape)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), batch.tokens[:, 1:, None], -1)[..., 0]
    return (losses * batch.learn[:, 1:]).sum() / batch.learn[:, 1:].sum()


@partial(jax.jit, static_argnames="shape", donate_argnames="learner")
def step(learner: Learner, batch: Batch, rate: float, shape: Shape) -> tuple[Learner, jax.Array]:
    """One step of AdamW (Loshchilov and Hutter 2019) on gradients clipped to norm 1; gives the loss before it."""
    loss, slopes = jax.value_and_grad(measure_loss)(learner.weights, batch, shape)
    clip = jnp.maximum(jnp.sqrt(sum(jnp.sum(slope**2) for slope in slopes.values())), 1.0)
    count = learner.count + 1
    first = {name: 0.9 * learner.first[name] + 0.1 * slope / clip for name, slope in slopes.items()}
    second = {name: 0.98 * learner.second[name] + 0.02 * (slope / clip) ** 2 for name, slope in slopes.items()}
    fix_first, fix_second = 1 - 0.9**count, 1 - 0.98**count

    def move(name: str, weight: jax.Array) -> jax.Array:
        decay = 0.02 if weight.ndim > 1 else 0.0
        slope = first[name] / fix_first / (jnp.sqrt(second[name] / fix_second) + 1e-8)
        return weight - rate * (slope + decay * weight)

    weights = {name: move(name, weight) for name, weight in learner.weights.items()}
    return Learner(weights, first, second, count), loss
