"""Owns how long one pass of a model takes on given GPUs: reading weights and cache, multiplying, talking. Pure.

A pass carries `decoding` sequences that each get one token and `prefilling` tokens of new prompts. Its time is

    lin   = ((weights / (BW eff_w))^3 + (2 P tokens / (F eff_c))^3 + unpack^3)^(1/3)   the roofline, its corner rounded
    kv    = decoding * cache(context) / (BW eff_kv)
    score = 4 L heads dim * (tokens of a prompt)^2 / 2 / (F16 eff_a)             attention over the prompt itself
    move  = L_moe experts of a token * hidden * tokens * moved / BW             sorting tokens to experts and back
    pass  = lin + kv + score + move + L t_layer + t_pass + n t_sequence + comm
    comm  = 2 L (t_reduce + 2 (tp-1)/tp * tokens * hidden * 2 bytes / link)      two all-reduces a layer, as a ring
    unpack = weights * operations / F32; where weights are unpacked first, (packed + 2 bytes each) / BW is added to pass

with everything that tensor parallel divides divided (Williams et al., "Roofline", CACM 2009; Pope et al., "Efficiently
Scaling Transformer Inference", arXiv:2211.05102). Of a mixture's experts a pass of n tokens touches 1 - (1 - k/E)^n.
The constants come from `calibration`; knows neither loads nor queues.
"""

from __future__ import annotations

from dataclasses import dataclass

from infctl.catalog.architecture import Architecture
from infctl.catalog.gpus import Gpu
from infctl.sizing.calibration import Constants
from infctl.sizing.precision import Precision
from infctl.sizing.weights import KEPT_BYTES, kv_bytes

TERA, GIGA = 1e12, 1e9
_HALVED = ("RTX-20", "RTX-30", "RTX-40", "RTX-50")  # sum products in 32 bits at half the rate (NVIDIA GA102 paper)
# AMD's eight GPUs have a link to each other one: a ring reaches 310 GB/s over seven links of 64 (rccl-tests, MI300X).
_MESH = 310 / 64
_MATRIX = 32  # tokens from which a matrix product is worth unpacking weights for (llama.cpp, ggml-cuda.cu)
_SUSTAINED = 0.8  # H100 SXM: what the constants of `calibration` were measured on


@dataclass(frozen=True, slots=True)
class Machine:
    """A model on its GPUs. `tensor` GPUs share each layer, `pipeline` stages share the layers. `kv_each` is the bytes
    of one number of the cache, `kept` the part of the linear layers that stays in 16 bits.
    """

    shape: Architecture
    precision: Precision
    gpu: Gpu
    constants: Constants
    tensor: int = 1
    pipeline: int = 1
    kv_each: float = 2.0
    kept: float = 0.0

    @property
    def flops(self) -> float:
        """Dense FLOPS of one GPU in the format that this precision computes in on it, as they would be if it kept up
        its clock like the GPUs that the constants were measured on.
        """
        short = 2.0 if self.constants.sums_short and self.gpu.name.startswith(_HALVED) else 1.0
        native = {"fp8": self.gpu.fp8, "int8": self.gpu.int8, "fp4": self.gpu.fp4}.get(self.precision.compute, 0.0)
        return (native or self.gpu.fp16 * short) * TERA * self.gpu.sustained / _SUSTAINED

    @property
    def packed(self) -> bool:
        """Whether kernels unpack weights on the way. Those for MXFP4 are made for it, and lose nothing by it."""
        return self.precision.weight_only and self.precision.name != "mxfp4"

    @property
    def awq(self) -> bool:
        return self.precision.name == "awq"

    @property
    def weights_read(self) -> tuple[float, float]:
        """Bytes of weights on one GPU that (every pass reads, a pass reads that needs every expert); of the embeddings
        only the output matrix is read whole.
        """
        shape, each = self.shape, (1 - self.kept) * self.precision.bits / 8 + self.kept * KEPT_BYTES
        read = (shape.linear - shape.routed) * each
        if not shape.encoder:
            read += shape.vocab * shape.hidden * (self.precision.bits / 8 if self.precision.whole else KEPT_BYTES)
        return read / self.tensor, shape.routed * each / self.tensor

    def touched(self, tokens: float) -> float:
        """Return the bytes of weights on one GPU that a pass of so many tokens reads."""
        steady, routed = self.weights_read
        missed = (1 - self.shape.active / self.shape.experts) ** tokens if self.shape.experts else 0.0
        return steady + routed * (1 - missed)


class Pace:
    """How long passes of a machine take: all that does not depend on the pass is worked out once."""

    __slots__ = (
        "_answer", "_back", "_cache", "_corner", "_eager", "_fixed", "_machine", "_missed", "_moved", "_routed",
        "_score", "_sequence", "_steady", "_talked", "_talking", "_token", "_unpacked", "_written",
    )  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        shape, gpu, c, ranks = machine.shape, machine.gpu, machine.constants, machine.tensor
        mixture, packed = bool(shape.experts), machine.packed
        reached = c.packed if packed else 1.0
        memory = gpu.bandwidth * GIGA
        rate = memory * (c.moe_weights if mixture else c.weights) * reached
        rate = min(rate, c.most_bandwidth * GIGA or rate)
        flops = machine.flops * (c.moe_compute if mixture else c.compute) * reached * ranks
        self._machine, self._corner = machine, c.corner
        self._steady, self._routed = (each / rate for each in machine.weights_read)
        self._missed = 1 - shape.active / shape.experts if mixture else 0.0
        self._token, self._answer = 2 * shape.active_linear / flops, 2 * shape.vocab * shape.hidden / flops
        self._unpacked, self._written = _unpacking(machine) if packed else (0.0, 0.0)
        self._unpacked *= rate
        self._cache = memory * c.cache
        self._moved = c.moved * shape.moe_layers * shape.active * shape.hidden / memory
        width = shape.heads * ((shape.nope_dim + shape.rope_dim + shape.v_dim) / 2 if shape.latent else shape.head_dim)
        self._score = 4 * shape.full_layers * width / 2 / ranks / (gpu.fp16 * TERA * c.attention)
        self._back = 2 * self._score * c.attention / c.looking_back if c.looking_back else 0.0
        each = (c.moe_layer if mixture else c.layer) + (c.packed_layer if packed else 0.0)
        each += (c.latent_layer if shape.latent else 0.0) + (c.awq_moe_layer if mixture and machine.awq else 0.0)
        self._fixed, self._eager = shape.layers * each + c.each_pass, shape.layers * c.eager_layer
        self._sequence = c.sequence + c.sending
        self._talking, self._talked = _talking(machine)

    def seconds(self, decoding: float, context: float, prefilling: float = 0.0, prompt: float = 0.0) -> float:
        """Return the seconds of one pass over all layers: see `pass_seconds`."""
        machine, corner = self._machine, self._corner
        if machine.pipeline > 1 and decoding > 1:  # stages work on a part of the sequences each, side by side
            decoding, prefilling = max(1.0, decoding / machine.pipeline), prefilling / machine.pipeline
        tokens = decoding + prefilling
        reading = self._steady + (self._routed * (1 - self._missed**tokens) if self._routed else 0.0)
        computing = self._token * tokens + self._answer * (decoding + (prefilling / prompt if prompt else 0.0))
        whole = reading**corner + computing**corner
        written = self._written if tokens >= _MATRIX else 0.0
        if self._unpacked and not written:
            whole += (self._unpacked * reading) ** corner
        cache = decoding * kv_bytes(machine.shape, context, machine.kv_each, machine.tensor) / self._cache
        cache += self._back * decoding * context
        eager = self._eager + self._score * prefilling * prompt if prefilling else 0.0
        linear: float = whole ** (1 / corner)
        fixed = (
            self._fixed + self._sequence * decoding + written + self._talking + (self._talked + self._moved) * tokens
        )
        return linear + cache + eager + fixed


def pass_seconds(
    machine: Machine, decoding: float, context: float, prefilling: float = 0.0, prompt: float = 0.0
) -> float:
    """Return the seconds of one pass over all layers.

    `decoding` sequences of `context` tokens each get one token; `prefilling` tokens belong to prompts that are
    `prompt` tokens long, or to chunks that end there.
    """
    return Pace(machine).seconds(decoding, context, prefilling, prompt)


def _unpacking(machine: Machine) -> tuple[float, float]:
    """Return what it takes to make packed weights 16-bit numbers: (seconds of ordinary cores for each byte, beside the
    product; seconds to write all of them out before it, 0 where an engine does not).
    """
    c, gpu, bytes_each = machine.constants, machine.gpu, machine.precision.bits / 8
    out = machine.shape.linear * (bytes_each + KEPT_BYTES) / machine.tensor / (gpu.bandwidth * GIGA)
    return c.unpacking / bytes_each / (gpu.fp32 / 2 * TERA) if gpu.fp32 else 0.0, out if c.unpacks else 0.0


def _talking(machine: Machine) -> tuple[float, float]:
    """Return the seconds that GPUs talk (in each pass, for each of its tokens)."""
    shape, ranks = machine.shape, machine.tensor
    rate = machine.gpu.link_rate * GIGA * (_MESH if machine.gpu.link_kind == "xgmi" else 1.0)
    token = shape.hidden * KEPT_BYTES / rate
    if ranks == 1:
        return 0.0, (machine.pipeline - 1) * token
    ring = 2 * (ranks - 1) / ranks * token
    return 2 * shape.layers * machine.constants.reduce, (machine.pipeline - 1) * token + 2 * shape.layers * ring


def prefill_seconds(machine: Machine, prompt: float, prompts: float = 1.0, chunk: float = 0.0) -> float:
    """Return the seconds until `prompts` prompts of `prompt` tokens, started together, have their first tokens.

    `chunk` is the most tokens of one pass (0: no limit); attention over earlier chunks is counted.
    """
    tokens = prompt * prompts
    passes = max(1.0, tokens / chunk) if chunk else 1.0
    return passes * pass_seconds(machine, 0.0, 0.0, tokens / passes, prompt)


def decode_seconds(machine: Machine, sequences: float, context: float) -> float:
    """Return the seconds in which each of `sequences` gets its next token."""
    return pass_seconds(machine, sequences, context)
