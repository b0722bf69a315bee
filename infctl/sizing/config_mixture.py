"""Owns what a config.json says of a mixture of experts: how many, how wide, and which layers have them. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from infctl.sizing.said import Said

# Mixtures whose `intermediate_size` is that of one expert.
_EXPERT_SIZED: Final = frozenset({
    "mixtral", "gpt_oss", "granitemoe", "granitemoehybrid", "phimoe", "minimax_m2", "olmoe", "jamba", "dbrx",
    "llama4_text", "minimax", "minimax_text_01",
})  # fmt: skip


class Mixture(NamedTuple):
    """`experts` of which `active` run, each `width` elements wide; `shared` elements of those that always run,
    together. `dense_layers` have none.
    """

    experts: int = 0
    active: int = 0
    width: int = 0
    shared: int = 0
    dense_layers: int = 0


def mixture_of(said: Said, layers: int, mlp: int) -> Mixture:
    """Return the mixture of a model whose dense MLPs are `mlp` wide; one without experts where it is none."""
    experts = said.number("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts")
    if experts < 2:  # noqa: PLR2004  # one expert is an MLP
        return Mixture()
    active = said.number(
        "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "top_k_experts", "moe_k",
        "num_selected_experts", default=2,
    )  # fmt: skip
    width = said.number("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size")
    if not width:
        sized = said.number("intermediate_size", "ffn_hidden_size", default=mlp)
        width = sized if said.kind in _EXPERT_SIZED or not said.number("expert_intermediate_size") else mlp
    whole = said.number(
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"
    )
    count = said.number("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts")
    if not whole and not count and said.kind == "llama4_text":
        count = 1
    if latent := said.number("moe_latent_size", "routed_expert_hidden_size"):
        # Nemotron 3, Kimi K3: experts work on fewer elements than the layer has
        hidden = said.number("hidden_size", default=latent)
        whole, width = whole or count * width, max(1, width * latent // hidden)
    shared = whole * max(1, count) if whole else count * width
    return Mixture(experts, min(active, experts), width, shared, _dense_layers(said, layers))


def _dense_layers(said: Said, layers: int) -> int:
    """Return how many layers of a mixture have no experts."""
    pattern = said.word("hybrid_override_pattern")
    if pattern:
        return layers - pattern.count("E")
    if words := said.words("layers_block_type"):
        return layers - words.count("moe") if "moe" in words else 0
    if flags := said.numbers("moe_layer_freq"):
        return layers - sum(1 for flag in flags[:layers] if flag)
    only = {index for index in said.numbers("mlp_only_layers") if 0 <= index < layers}
    first = said.number("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    step = said.number(
        "decoder_sparse_step",
        "interleave_moe_layer_step",
        "moe_layer_interval",
        "expert_layer_period",
        "moe_layer_freq",
        default=1,
    )
    offset = said.number("expert_layer_offset") if said.gave("expert_layer_offset") else step - 1
    sparse = sum(1 for index in range(first, layers) if index % step == offset % step and index not in only)
    return layers - sparse
