"""Owns which linear layers of a model a checkpoint leaves in 16 bits, from the patterns that name them. Pure.

Patterns are whole names, parts of names, wildcards or regular expressions, held against the names that most checkpoints
give their layers, as engines do when they load them (vllm/model_executor/layers/quantization).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from infctl.catalog.architecture import Architecture

_MOST_PATTERNS = 20_000
_LONGEST_PATTERN = 300
_ENDLESS: Final = re.compile(r"\([^()]*[*+}][^()]*\)[*+{]")  # repeats within repeats: time without end on some names
_IGNORED: Final = (
    "ignore", "modules_to_not_convert", "ignored_layers", "exclude_modules", "exclude", "llm_int8_skip_modules",
    "skip_modules", "modules_to_not_quantize",
)  # fmt: skip
_FUSED: Final = {
    "q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj", "q_a_proj": "fused_qkv_a_proj", "kv_a_proj_with_mqa": "fused_qkv_a_proj",
}  # fmt: skip


class Module(NamedTuple):
    """A linear layer by the name that checkpoints give it, and its parameters."""

    name: str
    parameters: int


def share_of(some: Iterable[Module], modules: Iterable[Module]) -> float:
    """Return which part of the parameters of `modules` is in `some` of them."""
    total = sum(each.parameters for each in modules)
    return min(1.0, sum(each.parameters for each in some) / total) if total else 0.0


def modules_of(shape: Architecture) -> list[Module]:
    """Return the linear layers of a model, by the names that most checkpoints give them."""
    found: list[Module] = []
    hidden, width = shape.hidden, shape.heads * shape.head_dim
    scale = shape.mixing / (shape.layers * shape.attention) if shape.mixing >= 0 and shape.attention else 1.0
    for index in range(shape.layers):
        start = f"model.layers.{index}"
        if shape.latent:
            attention = _latent(shape)
        else:
            keys = hidden * shape.kv_heads * shape.head_dim
            attention = {"q_proj": hidden * width, "k_proj": keys, "v_proj": keys, "o_proj": hidden * width}
        found += [Module(f"{start}.self_attn.{name}", round(size * scale)) for name, size in attention.items()]
        dense = index < shape.dense_layers or not shape.experts
        if dense or shape.feeding < 0:
            found += _mlp(shape, start) if dense else []
        if not dense:
            found.append(Module(f"{start}.mlp.experts", shape.experts * shape.expert))
            if shape.feeding >= 0:
                each = (shape.feeding - shape.dense_layers * shape.dense_mlp) // max(1, shape.moe_layers)
                found.append(Module(f"{start}.mlp.shared_experts", max(0, each)))
    return found


def _mlp(shape: Architecture, start: str) -> list[Module]:
    names = ("gate_proj", "up_proj", "down_proj") if shape.gated else ("up_proj", "down_proj")
    return [Module(f"{start}.mlp.{name}", shape.hidden * shape.mlp) for name in names]


def _latent(shape: Architecture) -> dict[str, int]:
    key = shape.nope_dim + shape.rope_dim
    query = (
        {"q_a_proj": shape.hidden * shape.q_rank, "q_b_proj": shape.q_rank * shape.heads * key}
        if shape.q_rank
        else {"q_proj": shape.hidden * shape.heads * key}
    )
    return query | {
        "kv_a_proj_with_mqa": shape.hidden * (shape.kv_rank + shape.rope_dim),
        "kv_b_proj": shape.kv_rank * shape.heads * (shape.nope_dim + shape.v_dim),
        "o_proj": shape.heads * shape.v_dim * shape.hidden,
    }


def _patterns(told: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in _IGNORED:
        value = told.get(name)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, str) and 0 < len(each) <= _LONGEST_PATTERN]
    return found[:_MOST_PATTERNS]


class Rules(NamedTuple):
    """Patterns sorted by how they are held against a name: names and parts of names, wildcards, regular expressions."""

    plain: frozenset[str]
    wild: tuple[str, ...]
    regular: tuple[re.Pattern[str], ...]

    def leave_out(self, name: str) -> bool:
        """Return whether a module stays in 16 bits."""
        start, _, last = name.rpartition(".")
        for spelled in (name, f"{start}.{_FUSED[last]}") if last in _FUSED else (name,):
            if self._named(short(spelled)) or any(fnmatchcase(spelled, each) for each in self.wild):
                return True
            if any(each.match(spelled) for each in self.regular):
                return True
        return False

    def _named(self, short: str) -> bool:
        """Whole parts of a name count: `mlp.gate` does not mean `mlp.gate_proj`."""
        parts = short.split(".")
        return any(
            ".".join(parts[start:end]) in self.plain
            for start in range(len(parts))
            for end in range(start + 1, len(parts) + 1)
        )


def rules_of(told: Mapping[str, Any]) -> Rules:
    """Return the patterns of a `quantization_config`, however it calls their list."""
    plain, wild, regular = set(), [], []
    for each in dict.fromkeys(_patterns(told)):
        if each.startswith("re:"):
            text = each.removeprefix("re:")
            try:
                regular += [] if _ENDLESS.search(text) else [re.compile(text)]
            except (re.error, OverflowError, RecursionError):
                continue  # no engine could read it either: nothing is left out by it
        elif "*" in each or "?" in each:
            wild.append(each)
        else:
            plain.add(short(each))
    return Rules(frozenset(plain), tuple(wild), tuple(regular))


def short(name: str) -> str:
    """Return a module's name from its layer on: what stands before differs between libraries."""
    return re.sub(r"^.*?\b(?:layers|h|blocks)\.(?=\d)", "layers.", name)
