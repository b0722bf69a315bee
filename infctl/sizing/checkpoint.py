"""Owns what is known of a model's checkpoint before it is loaded: its shape, how its weights are kept, their bytes.

Pure: what is parsed here was read elsewhere (a folder, a GGUF header, a hub, the catalogue).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from infctl.catalog.architecture import Architecture
from infctl.engines.gguf import Header
from infctl.engines.safetensors import Tensor
from infctl.frozen import dataclass
from infctl.sizing.config_json import shape_of
from infctl.sizing.gguf_shape import architecture_of
from infctl.sizing.precision import PRECISIONS, Precision
from infctl.sizing.quantized import quantized_of

QUANTIZED_BESIDE: Final = "hf_quant_config.json"  # where ModelOpt says what config.json does not
_HALF = ("F16", "BF16")
_LAYER: Final = re.compile(r"(?:^|\.)(?:layers|h|blocks|layer)\.(\d+)\.")
# Second copies and parts that engines leave where they are: what predicts several tokens, rotary tables.
_UNLOADED: Final = re.compile(r"^mtp\.|\.mtp\.|mtp_block|rotary_emb\.inv_freq|^model\.mtp_layers")
_NO_LINEAR: Final = re.compile(r"norm|embed|lm_head|router|\.gate\.weight$|visual|vision|audio|projector|conv1d|A_log")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint. `bytes` of all tensors that an engine loads, None where they are computed from the shape; `kept`
    is the part (0 to 1) of the linear layers' parameters that are left in 16 bits. `parameters` in all.

    `kv` is the format of the KV cache that it was made for, "" where it does not say. `assumed` says what was taken for
    granted, `source` where the facts were read: "catalogue", a folder, a hub's uri.
    """

    shape: Architecture
    precision: Precision
    bytes: int | None = None
    kept: float = 0.0
    parameters: int = 0
    assumed: tuple[str, ...] = ()
    source: str = ""
    kv: str = ""


def from_config(
    config: Mapping[str, Any], name: str = "", *, beside: Mapping[str, Any] | None = None, source: str = ""
) -> Checkpoint:
    """Return what a config.json says; `beside` is the file QUANTIZED_BESIDE where there is one.

    Raises InfctlError (bad-model-file).
    """
    shape = shape_of(config, name)
    found = quantized_of(config, shape, beside)
    assumed = (*shape.assumed, *found.assumed)
    whole = replace(shape, assumed=assumed)
    return Checkpoint(whole, found.precision, None, found.kept, shape.total, assumed, source, found.kv)


def from_safetensors(
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    name: str = "",
    *,
    beside: Mapping[str, Any] | None = None,
    source: str = "",
) -> Checkpoint:
    """Return what a config.json and the headers of its safetensors files say; without tensors, what the config says.

    The bytes are exact: what is left in 16 bits is seen, not read from a list. Raises InfctlError (bad-model-file).
    """
    told = from_config(config, name, beside=beside, source=source)
    loaded = {name: each for name, each in tensors.items() if _loads(name, told.shape.layers)}
    if not loaded:
        return told
    size = sum(each.bytes for each in loaded.values())
    single = sum(each.bytes for each in loaded.values() if each.kind == "F32")
    if single > size / 2:  # engines make 16 bits of such a checkpoint
        size -= single // 2
    if told.precision.name == "bf16":
        return replace(told, bytes=size)
    linear = told.shape.linear
    left = sum(each.elements for name, each in loaded.items() if _left(name, each))
    kept = min(1.0, left / linear) if linear else 0.0
    return replace(told, bytes=size, kept=kept)


def _loads(name: str, layers: int) -> bool:
    """Return whether an engine loads a tensor: layers behind the last one predict further tokens (DeepSeek-V3)."""
    numbered = _LAYER.search(name)
    behind = numbered is not None and "vis" not in name and "audio" not in name and int(numbered[1][:9]) >= layers
    return not behind and not _UNLOADED.search(name)


def _left(name: str, tensor: Tensor) -> bool:
    """Return whether a tensor is a linear layer's weight in 16 bits."""
    wide = len(tensor.shape) > 1 and tensor.kind in _HALF and name.endswith(("weight", "_proj"))
    return wide and _LAYER.search(name) is not None and not _NO_LINEAR.search(name)


def from_gguf(header: Header, name: str = "", *, source: str = "") -> Checkpoint:
    """Return what a GGUF header says; its bytes are exact. Raises InfctlError (bad-model-file)."""
    shape = architecture_of(header, name)
    bits = 8 * header.weights / header.parameters if header.parameters else 16.0
    precision = Precision(f"gguf:{header.quantization or 'unknown'}", bits, whole=True)
    return Checkpoint(shape, precision, header.weights, 0.0, header.parameters, shape.assumed, source)


def from_catalog(shape: Architecture, told: Mapping[str, Any], *, source: str = "catalogue") -> Checkpoint:
    """Return what the catalogue says of a checkpoint: `told` has `precision`, `kept` and `kv` where they are known."""
    precision = PRECISIONS.get(str(told.get("precision") or shape.native), PRECISIONS["bf16"])
    kept, kv = float(told.get("kept", left_by(shape, precision))), str(told.get("kv", ""))
    return Checkpoint(shape, precision, None, kept, shape.total, shape.assumed, source, kv)


def as_kept(found: Checkpoint, wanted: Precision | None) -> Checkpoint:
    """Return the checkpoint as an engine keeps it that was asked for the format `wanted` (None: as it is).

    A checkpoint of 16 bits may be quantized while it is loaded; one that is quantized already, of that name and width,
    stays as it is. What its files say of bytes and of layers left out holds for the format they are in only.
    """
    own = found.precision
    if wanted is None or wanted.name == own.name or (wanted.whole == own.whole and wanted.bits == own.bits):
        return found
    return replace(found, precision=wanted, bytes=None, kept=left_by(found.shape, wanted))


def left_by(shape: Architecture, precision: Precision) -> float:
    """Return the part of the linear layers that a format leaves in 16 bits by itself: MXFP4 is for experts only."""
    alone = precision.name == "mxfp4" and shape.experts
    return (shape.linear - shape.routed) / shape.linear if alone else 0.0
