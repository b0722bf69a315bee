"""Owns number formats: how many bits a weight takes in all, and in which format a GPU computes with it. Pure.

Bits of block formats count their scales: AWQ and GPTQ keep a 16-bit scale and a packed zero for each group of 128
(AutoAWQ, GPTQModel); FP8 blocks of 128 x 128 a 32-bit scale (DeepSeek-V3, arXiv:2412.19437); NVFP4 an 8-bit scale for
each 16 numbers and MXFP4 for each 32 (OCP Microscaling 1.0). Those of GGUF are measured over whole files of
Llama-3.1-8B (llama.cpp, tools/quantize/README.md), embeddings included.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from infctl.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Precision:
    """A format of weights. `bits` for each weight of a linear layer, or with `whole` for every weight of the file.

    `compute` is the format of the multiplications where the hardware has it: fp16, fp8, int8 or fp4; a weight-only
    format computes in fp16 whatever it is kept in. `layout` is the kernels' that it is packed for, "" where it is their
    engine's own choice.
    """

    name: str
    bits: float
    compute: str = "fp16"
    whole: bool = False
    layout: str = ""

    @property
    def weight_only(self) -> bool:
        return self.compute == "fp16" and self.bits < 16  # noqa: PLR2004  # what it computes in


def _gguf(name: str, bits: float) -> Precision:
    return Precision(f"gguf:{name}", bits, whole=True)


PRECISIONS: Final = {
    each.name: each
    for each in (
        Precision("bf16", 16),
        Precision("fp8", 8, "fp8"),
        Precision("int8", 8, "int8"),
        Precision("int8-gptq", 8 + (16 + 8) / 128),
        Precision("awq", 4 + (16 + 4) / 128),
        Precision("gptq", 4 + (16 + 4) / 128),
        Precision("nf4", 4.5),
        Precision("bnb-int8", 8),
        Precision("nvfp4", 4.5, "fp4"),
        Precision("mxfp4", 4.25),
        _gguf("F32", 32),
        _gguf("F16", 16),
        _gguf("BF16", 16),
        _gguf("Q8_0", 8.5008),
        _gguf("Q6_K", 6.5633),
        _gguf("Q5_K_M", 5.7036),
        _gguf("Q5_K_S", 5.5704),
        _gguf("Q5_1", 6),
        _gguf("Q5_0", 5.57),
        _gguf("Q4_K_M", 4.8944),
        _gguf("Q4_K_S", 4.6672),
        _gguf("Q4_1", 5.1),
        _gguf("Q4_0", 4.66),
        _gguf("IQ4_NL", 4.6818),
        _gguf("IQ4_XS", 4.4597),
        _gguf("Q3_K_L", 4.2979),
        _gguf("Q3_K_M", 3.996),
        _gguf("Q3_K_S", 3.6429),
        _gguf("IQ3_M", 3.7628),
        _gguf("IQ3_S", 3.6606),
        _gguf("IQ3_XS", 3.4977),
        _gguf("IQ3_XXS", 3.2548),
        _gguf("Q2_K", 3.1593),
        _gguf("Q2_K_S", 2.9697),
        _gguf("IQ2_M", 2.9294),
        _gguf("IQ2_S", 2.7403),
        _gguf("IQ2_XS", 2.5882),
        _gguf("IQ2_XXS", 2.3824),
        _gguf("IQ1_M", 2.146),
        _gguf("IQ1_S", 2.0042),
    )
}
_SPELLED: Final = {
    "fp16": "bf16", "float16": "bf16", "bfloat16": "bf16", "none": "bf16", "half": "bf16",
    "fp8w8a8": "fp8", "w8a8fp8": "fp8", "fp8block": "fp8", "fp8static": "fp8", "fp8dynamic": "fp8",
    "fp8e4m3": "fp8", "mxfp8": "fp8",
    "w8a8": "int8", "int8w8a8": "int8", "w8a8int8": "int8", "smoothquant": "int8", "int8sq": "int8", "8bit": "int8",
    "gptqint8": "int8-gptq", "w8a16": "int8-gptq", "int8gptq": "int8-gptq",
    "int4awq": "awq", "awqmarlin": "awq", "int4": "gptq", "w4a16": "gptq", "int4gptq": "gptq", "gptqint4": "gptq",
    "gptqmarlin": "gptq", "marlin": "gptq", "4bit": "gptq", "int4wo": "gptq", "int4weightonly": "gptq", "w4a8": "awq",
    "int8wo": "int8-gptq", "int8weightonly": "int8-gptq", "eetq": "int8-gptq", "llmint8": "bnb-int8",
    "bnbint4": "nf4", "bnb4bit": "nf4", "bnb8bit": "bnb-int8",
    "autoround": "gptq", "bnb": "nf4", "bitsandbytes": "nf4", "bnbnf4": "nf4",
    "modeloptfp4": "nvfp4", "fp4": "nvfp4", "f16": "gguf:F16",
}  # fmt: skip
# Bytes of one number of the KV cache; q8_0 keeps a 16-bit scale for each 32 numbers.
KV_BYTES: Final = {"auto": 2.0, "bf16": 2.0, "fp16": 2.0, "f16": 2.0, "fp8": 1.0, "fp8_e4m3": 1.0, "fp8_e5m2": 1.0,
                   "int8": 1.0, "q8_0": 34 / 32, "q4_0": 18 / 32}  # fmt: skip


def find_precision(name: str) -> Precision | None:
    """Return the format that `name` spells, as engines, checkpoints and people do; None where nobody knows it."""
    text = name.strip().lower().removeprefix("gguf:").removeprefix("gguf-")
    if text.startswith("mxfp4") and "triton" in text:
        return replace(PRECISIONS["mxfp4"], layout="triton")
    first = re.split(r"[/ +,;(]", text, maxsplit=1)[0]
    for spelled in (text, first):
        gguf = PRECISIONS.get(f"gguf:{spelled.upper()}")
        if gguf is not None and not (name.lower() in {"bf16", "f16", "fp16"} and gguf.bits == 16):  # noqa: PLR2004
            return gguf
        plain = re.sub(r"[^a-z0-9]", "", spelled)
        if (found := PRECISIONS.get(spelled) or PRECISIONS.get(_SPELLED.get(plain, plain))) is not None:
            return found
    return None
