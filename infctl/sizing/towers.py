"""Owns how many parameters a model's vision or audio tower has, from the nested part of its config.json. Pure.

A vision transformer: four square matrices and an MLP in each layer, patches turned into vectors, and what brings those
to the width of the language model (modeling_qwen3_vl.py, modeling_siglip.py, modeling_pixtral.py of transformers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infctl.sizing.said import Said

_TOWERS: Final = ("vision_config", "audio_config", "visual", "vision_tower_config")
_GATED: Final = frozenset({"pixtral", "qwen2_5_vl", "kimi_vl"})


def tower_of(said: Said, hidden: int) -> int:
    """Return the parameters of towers beside a language model of `hidden` elements."""
    return sum(_tower(part, said, hidden) for name in _TOWERS if (part := said.part(name)))


def _tower(part: Mapping[str, Any], whole: Said, hidden: int) -> int:
    said = Said({name: value for name, value in part.items() if name != "text_config"})
    merge = said.number("spatial_merge_size", default=whole.number("spatial_merge_size", default=1))
    width = said.number("embed_dim", "hidden_size", "width", "d_model")
    depth = said.number("depth", "num_hidden_layers", "layers", "encoder_layers")
    if not width or not depth:
        return 0
    wide = said.number("intermediate_size", "encoder_ffn_dim", default=width * said.number("mlp_ratio", default=4))
    gated = 3 if said.kind in _GATED else 2
    patch = said.number("patch_size", default=14) ** 2 * said.number("in_channels", "num_channels", default=3)
    patch *= said.number("temporal_patch_size", default=1)
    layers = depth * (4 * width * width + gated * width * wide + 6 * width + wide)
    joined = width * merge * merge
    bridge = joined * joined + joined * hidden if merge > 1 else width * hidden + hidden * hidden
    bridge *= 1 + len(said.numbers("deepstack_visual_indexes"))
    return layers + patch * width + said.number("num_position_embeddings") * width + bridge
