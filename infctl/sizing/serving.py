"""Owns what a load makes of single passes: latencies and throughput of requests served side by side. Pure.

Continuous batching (Yu et al., "Orca", OSDI 2022): every pass gives each running sequence one token, and carries the
prompts that came in meanwhile. In a closed loop of c requests each answer of osl tokens is followed by one new prompt,
so a pass carries c/osl prompts on average:

    TPOT = pass(c, context) + c/osl * (pass with one prompt more - pass without)         pass(c, context, c/osl prompts)
                                                                                         where these are more than one
In an open loop of rate r a pass carries r * TPOT prompts, which take the part rho of the time that they make it longer
by, and how many run follows from Little's law:

    TPOT = pass with r * TPOT prompts,   rho = 1 - pass without / TPOT,   c = r * (TTFT + osl * TPOT)
    TTFT = wait + half a pass + pass with the prompt,   wait = rho S (1 + cv^2) / (2 (1 - rho))   (Pollaczek-Khinchine)

A wait's tail is taken as exponential. A rate above what c at its most can take up has no answer: see `overload`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt

from infctl.sizing.budget import Memory
from infctl.sizing.case import Case, Load
from infctl.sizing.lengths import lengths
from infctl.sizing.loops import ROUNDS, Loop, first_tokens
from infctl.sizing.passes import Limits, run_all, summary
from infctl.sizing.speed import Machine, Pace, decode_seconds, pass_seconds, prefill_seconds
from infctl.sizing.versions import before

_MOST_SIMULATED = 384  # requests: of more, each stands for several
_SATURATING = 4  # times as many requests as run at once, where a queue is never empty and nobody says how long it is
_ENOUGH = 12  # times as many requests as run at once, from which a longer queue is only longer
_SEPARATE = ("vllm-v0", "tgi")  # schedulers that give prompts passes of their own by default
_WHOLE = ("tgi", "tensorrt-llm")  # schedulers that keep room for the whole answer
_LONG, _FIRST_CHUNK, _LATER_CHUNK = 32768, 512, 2048  # tokens: of vLLM's V0 engine, see `limits_of`
_SLOWEST = 50.0  # times as long as without prompts, where they leave hardly any time for tokens
_SQUARED_VARIATION = 2.0  # of a prompt's tokens, squared and over the squared mean, in recorded conversations
_STABLE = 1.1  # of the most that can be taken up: what that itself may be off by; beyond, a queue grows without end


def running(case: Case, memory: Memory) -> float:
    """Return how many sequences run at a time, of those that the load keeps in flight."""
    asked = case.prompts if case.load in {Load.BURST_ALL, Load.OFFLINE_MAX} and case.prompts else case.concurrency
    return max(1.0, min(float(asked), most_running(case, memory)))


def most_running(case: Case, memory: Memory) -> float:
    """Return how many sequences can run at a time."""
    held = case.isl + (case.osl if case.engine in _WHOLE else case.osl / 2)
    room = memory.kv_tokens / held if memory.kv_tokens else float("inf")
    return max(1.0, min(float(memory.most_seqs), room))


def token_seconds(machine: Machine, sequences: float, isl: float, osl: float) -> float:
    """Return the mean seconds between two tokens of a sequence in a closed loop of so many."""
    return _step(Pace(machine), sequences, isl + osl / 2, isl, sequences / max(1.0, osl))


def _step(pace: Pace, sequences: float, context: float, isl: float, prompts: float) -> float:
    """Return the mean seconds of a pass where so many prompts come in during one: a part of all passes carries one, or
    each carries several.
    """
    if prompts > 1:
        return pace.seconds(sequences, context, prompts * isl, isl)
    alone = pace.seconds(sequences, context)
    return alone + prompts * (pace.seconds(sequences, context, isl, isl) - alone)


def taking(machine: Machine, case: Case) -> float:
    """Return the seconds that pass before a request's prompt is with the scheduler, and after its token is chosen."""
    return machine.constants.request + machine.constants.request_token * case.isl


def overload(machine: Machine, case: Case, memory: Memory, family: str = "") -> str:
    """Return why an open loop's queue would grow without end, "" where it does not."""
    if case.load is not Load.RATE_POISSON:
        return ""
    passed = limits_of(machine, case, memory, family).tokens * case.osl / (case.isl + case.osl)  # tokens of one pass
    many = max(1.0, min(most_running(case, memory), passed))
    most = many / (max(1.0, case.osl) * token_seconds(machine, many, case.isl, case.osl))
    if case.rate < _STABLE * most:
        return ""
    return f"{case.rate:g} requests/s come in, {most:.3g} can be served: the queue would grow without end"


def figures(machine: Machine, case: Case, memory: Memory, family: str = "") -> Mapping[str, float]:
    """Return every figure of the load by the names that tables of measurements have."""
    if case.load is Load.STATIC_BATCH:
        found = _static(machine, case, running(case, memory), memory)
    elif case.load is Load.RATE_POISSON:
        found = _open(machine, case, memory)
    elif case.load is Load.CONCURRENCY:
        found = _closed(machine, case, running(case, memory), memory, family)
    else:
        found = _queued(machine, case, memory, family)
    if "out_tok_s" in found:
        found["out_tok_s_per_gpu"] = found["out_tok_s"] / case.count
    return found


def _static(machine: Machine, case: Case, many: float, memory: Memory) -> dict[str, float]:
    first = prefill_seconds(machine, case.isl, many, memory.most_tokens)
    each = decode_seconds(machine, many, case.osl / 2 + (0.0 if case.apart else case.isl))
    whole = first + each * max(0.0, case.osl - 1)
    found = {
        **_same("ttft", (50, 90, 95, 99), first),
        **_same("tpot", (50, 95, 99), each),
        "itl_mean_ms": each * 1e3,
        "itl_p99_ms": each * 1e3,
        "e2e_latency_s": whole,
        "out_tok_s": many * case.osl / whole,
        "total_tok_s": many * (case.isl + case.osl) / whole,
        "prefill_tok_s": many * case.isl / first,
        "req_s": many / whole,
    }
    if many == 1:
        found["decode_tok_s_single"] = 1 / each if case.apart else case.osl / whole
    return found


def _same(name: str, parts: tuple[int, ...], seconds: float) -> dict[str, float]:
    return {f"{name}_mean_ms": seconds * 1e3} | {f"{name}_p{part}_ms": seconds * 1e3 for part in parts}


def _closed(machine: Machine, case: Case, many: float, memory: Memory, family: str) -> dict[str, float]:
    context = case.isl + case.osl / 2
    each = token_seconds(machine, many, case.isl, case.osl)
    prompt = pass_seconds(machine, many, context, case.isl, case.isl)
    rush = _rush(case)
    limits = limits_of(machine, case, memory, family)
    waits = first_tokens(machine, Loop(many, (case.isl, case.osl), rush, case.varied or not rush), limits)
    taken = taking(machine, case) + (machine.constants.polls * each if many > 1 else 0.0)
    whole = waits["mean"] + taken + each * max(0.0, case.osl - 1)
    rate = many / whole
    queued = max(0.0, case.concurrency - many) / rate
    return {
        **{f"ttft_{name}_ms": (taken + queued + wait) * 1e3 for name, wait in waits.items()},
        **_same("tpot", (50, 95, 99), each),
        "itl_mean_ms": each * 1e3,
        "itl_p99_ms": max(each, prompt if many > 1 and many / max(1.0, case.osl) > 0.01 else 0.0) * 1e3,  # noqa: PLR2004
        "out_tok_s": rate * case.osl,
        "total_tok_s": rate * (case.isl + case.osl),
        "req_s": rate,
        "e2e_latency_s": whole + queued,
    }


def _rush(case: Case) -> float:
    """Return which part of a closed loop's requests belong to its start, as the benchmark that reports counts."""
    if case.engine_version.upper().startswith("NIM"):
        return 0.0
    rounds = case.prompts / case.concurrency if case.prompts else ROUNDS
    return min(1.0, 1 / max(1.0, rounds))


def _waits(busy: float, service: float, step: float, case: Case) -> dict[str, float]:
    """Return the mean wait for a prompt's turn and its percentiles, where prompts of others keep the engine `busy` for
    that part of the time; half a `step` goes by until the pass under way ends.
    """
    squared = _SQUARED_VARIATION if case.varied else 0.0
    mean = busy * service * (1 + squared) / (2 * (1 - busy))
    found = {"mean": mean + step / 2}
    for part in (50, 90, 95, 99):
        beyond = 1 - part / 100
        tail = mean / busy * log(busy / beyond) if busy > beyond else 0.0
        found[f"p{part}"] = tail + step * min(1.0, part / 100)
    return found


def _open(machine: Machine, case: Case, memory: Memory) -> dict[str, float]:
    """Return the figures of a rate that can be served."""
    context, osl, pace = case.isl + case.osl / 2, max(1.0, case.osl), Pace(machine)
    most, many, each = most_running(case, memory), 1.0, 0.0
    for _ in range(40):
        alone = pace.seconds(many, context)
        prompt = pace.seconds(many, context, case.isl, case.isl)
        each = min(_SLOWEST * alone, _step(pace, many, context, case.isl, case.rate * max(each, alone)))
        busy = min(0.95, 1 - alone / each)
        waits = _waits(busy, prompt, alone, case)
        taken = taking(machine, case) + machine.constants.polls * each * min(1.0, many - 1)
        first = prompt + taken + waits["mean"]
        many = (many + min(most, max(1.0, case.rate * (first + (osl - 1) * each)))) / 2
    extra = prompt + taken
    found = {f"ttft_{name}_ms": (extra + wait) * 1e3 for name, wait in waits.items()}
    for name, deviations in (("mean", 0.0), ("p50", 0.0), ("p95", 1.645), ("p99", 2.326)):
        crowd = min(most, many + deviations * sqrt(many))
        found[f"tpot_{name}_ms"] = pace.seconds(crowd, context) * each / alone * 1e3
    return found | {
        "itl_mean_ms": each * 1e3,
        "itl_p99_ms": max(each, prompt if case.rate * alone > 0.01 else 0.0) * 1e3,  # noqa: PLR2004
        "out_tok_s": case.rate * case.osl,
        "total_tok_s": case.rate * (case.isl + case.osl),
        "req_s": case.rate,
        "e2e_latency_s": first + (osl - 1) * each,
    }


def _queued(machine: Machine, case: Case, memory: Memory, family: str) -> dict[str, float]:
    """Return the figures of requests that are all there at the start, by running through them."""
    most = most_running(case, memory)
    prompts = case.prompts or max(case.concurrency, int(_SATURATING * most))
    seen = min(prompts, max(1000, int(_ENOUGH * most)))
    count = min(seen, _MOST_SIMULATED)
    weight = seen / count
    requests = lengths(count, case.isl, case.osl, case.varied, case.uneven)
    limits = limits_of(machine, case, memory, family)
    found = dict(summary(run_all(machine, requests, limits, weight), requests, weight, taking(machine, case)))
    longer = prompts / seen  # the queue goes on as it went
    return {name: each * (longer if name.startswith(("ttft", "e2e")) else 1.0) for name, each in found.items()}


def limits_of(machine: Machine, case: Case, memory: Memory, family: str) -> Limits:
    """Return what the scheduler of an engine family keeps to, with this much memory, and where it answers over HTTP its
    front end. vLLM from 0.5 to 0.7 cut prompts up only for models of long contexts, into few tokens (arg_utils.py,
    config.py); V1 always does.
    """
    cache, tokens = float(memory.kv_tokens) or float("inf"), memory.most_tokens
    separate, whole = family.startswith(_SEPARATE), family.startswith(_WHOLE)
    longest = min(case.shape.context, case.max_model_len or case.shape.context)
    if family.startswith("vllm-v0") and longest > _LONG and not before("vllm", case.engine_version, (0, 5)):
        separate, tokens = False, _FIRST_CHUNK if before("vllm", case.engine_version, (0, 7)) else _LATER_CHUNK
    c = machine.constants if case.load not in {Load.OFFLINE_MAX, Load.STATIC_BATCH} else None
    intake, stream = (c.intake, c.stream) if c else (0.0, 0.0)
    return Limits(memory.most_seqs, tokens, cache, not separate, whole, intake, stream)
