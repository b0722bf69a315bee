"""Owns what sizing needs to know of a model: its shape, and the counts that follow from it. Pure.

Formulas count the parameters that the reference implementations of the Hugging Face transformers library have
(`modeling_llama.py` and its kin); tests hold them against published totals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)  # without slots: the counts are kept
class Architecture:
    """A model's shape. Lengths in elements; 0 where a model has no such part.

    `experts` 0 is a dense model; of a mixture `dense_layers` layers have none, `shared` experts always run
    and `active` of the others. `kv_rank` > 0 is multi-head latent attention (DeepSeek-V2, arXiv:2405.04434), whose
    cache is one latent and one rotary key per token. Of the layers, one in every `window_period` sees everything and
    the others only `window` tokens (0: all see everything). `padded_mlp` is the width that the publisher's int4
    checkpoints have instead (0: the same), so that groups of 128 divide. `gated` MLPs have a gate (SwiGLU).
    `encoder` models answer in one pass and keep no cache. `native` is the format of the published checkpoint.

    Where layers differ: `seeing` of them keep the whole context (-1: as `window_period` says) and `stateful` a state of
    fixed size instead, `state` bytes of one sequence over all of these; `window_kv` are the numbers that a windowed
    layer keeps of a token (0: as the others); `mixing` and `feeding` are the parameters of all attention (or what
    stands in its place) and of all MLPs that are no experts together (-1: all layers are alike). `beside` are
    parameters of neither layers nor embeddings, such as a vision tower's and biases. `assumed` says what was taken for
    granted about the model.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int
    tied: bool = False
    gated: bool = True
    padded_mlp: int = 0
    expert_mlp: int = 0
    experts: int = 0
    active: int = 0
    shared: int = 0
    dense_layers: int = 0
    q_rank: int = 0
    kv_rank: int = 0
    nope_dim: int = 0
    rope_dim: int = 0
    v_dim: int = 0
    window: int = 0
    window_period: int = 1
    context: int = 0
    encoder: bool = False
    positions: int = 0
    native: str = "bf16"
    family: str = ""
    seeing: int = -1
    stateful: int = 0
    state: int = 0
    window_kv: int = 0
    mixing: int = -1
    feeding: int = -1
    beside: int = 0
    assumed: tuple[str, ...] = ()

    @property
    def latent(self) -> bool:
        return self.kv_rank > 0

    @property
    def attention(self) -> int:
        """Parameters of one layer's attention."""
        if not self.latent:
            width = self.heads * self.head_dim
            return 2 * self.hidden * width + 2 * self.hidden * self.kv_heads * self.head_dim
        key = self.nope_dim + self.rope_dim
        query = (
            self.hidden * self.q_rank + self.q_rank * self.heads * key
            if self.q_rank
            else self.hidden * self.heads * key
        )
        latent = self.hidden * (self.kv_rank + self.rope_dim) + self.kv_rank * self.heads * (self.nope_dim + self.v_dim)
        return query + latent + self.heads * self.v_dim * self.hidden

    @property
    def dense_mlp(self) -> int:
        """Parameters of one dense layer's MLP."""
        return (3 if self.gated else 2) * self.hidden * self.mlp

    @property
    def expert(self) -> int:
        """Parameters of one expert."""
        return (3 if self.gated else 2) * self.hidden * self.expert_mlp

    @property
    def moe_layers(self) -> int:
        return self.layers - self.dense_layers if self.experts else 0

    @cached_property
    def router(self) -> int:
        """Parameters of all routers: kept in 16 or 32 bits by every method."""
        return self.moe_layers * self.hidden * self.experts

    @cached_property
    def linear(self) -> int:
        """Parameters of all linear layers but embeddings and routers: what quantization shrinks."""
        attention = self.mixing if self.mixing >= 0 else self.layers * self.attention
        mlp = self.feeding if self.feeding >= 0 else (self.layers - self.moe_layers) * self.dense_mlp
        return attention + mlp + self.moe_layers * (self.experts + self.shared) * self.expert

    @cached_property
    def routed(self) -> int:
        """Parameters of all experts that a router chooses among."""
        return self.moe_layers * self.experts * self.expert

    @cached_property
    def embeddings(self) -> int:
        """Parameters of the table of tokens (and positions), and of the output where it is not the same table."""
        return (self.vocab * (1 if self.tied or self.encoder else 2) + self.positions) * self.hidden

    @cached_property
    def norms(self) -> int:
        return (2 * self.layers + 1) * self.hidden

    @cached_property
    def total(self) -> int:
        """All parameters, biases left out: they are below a thousandth of a percent to a tenth."""
        return self.linear + self.router + self.embeddings + self.norms + self.beside

    @cached_property
    def active_linear(self) -> int:
        """Parameters of the linear layers that one token goes through, the output matrix not among them."""
        return self.linear - self.routed + self.moe_layers * self.active * self.expert + self.router

    @cached_property
    def full_layers(self) -> int:
        """Layers that keep keys and values of the whole context."""
        if self.seeing >= 0:
            return self.seeing
        return self.layers - self.stateful if not self.window else self.layers // self.window_period

    @cached_property
    def windowed_layers(self) -> int:
        """Layers that keep keys and values of the last `window` tokens only."""
        return self.layers - self.stateful - self.full_layers if self.window else 0

    @property
    def kv_each(self) -> int:
        """Numbers that one layer that sees everything keeps of a token."""
        return self.kv_rank + self.rope_dim if self.latent else 2 * self.kv_heads * self.head_dim

    def kv_elements(self, tokens: float) -> float:
        """Return how many numbers the caches of one sequence of so many tokens hold, over all layers."""
        if self.encoder:
            return 0.0
        seen = self.full_layers * self.kv_each * tokens
        return seen + self.windowed_layers * (self.window_kv or self.kv_each) * min(tokens, self.window)
