"""Owns the course of many requests that come at once: pass by pass, as an engine's scheduler takes them up. Pure.

Continuous batching, first come first served (Yu et al., "Orca", OSDI 2022): as many requests run as the engine's limit
of sequences and the KV cache allow; a pass carries one token of each and, up to its limit of tokens, prompts that wait,
cut into chunks (Agrawal et al., "Sarathi-Serve", OSDI 2024). Schedulers without chunks give prompts passes of their
own, before all else. Nothing is random: the same case runs the same course. Passes that differ in nothing but a longer
context are taken together, and so are answers that end within a fiftieth of their mean length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from infctl.sizing.speed import Machine, Pace

_ALIKE = 8  # passes that a prompt may fill before several count as one step
_TOGETHER = 0.02  # of a mean answer: ends so near to each other are one event


@dataclass(frozen=True, slots=True)
class Limits:
    """What a scheduler keeps to: sequences at a time, tokens of one pass, tokens of KV cache. `chunked` is whether
    prompts share passes with tokens, `whole` whether a request's whole answer must have room before it starts.
    `intake` and `stream` are the front end's seconds for a request and for a token, 0 where there is none.
    """

    seqs: int
    tokens: int
    cache: float
    chunked: bool = True
    whole: bool = False
    intake: float = 0.0
    stream: float = 0.0


@dataclass(slots=True)
class Course:
    """What happened: when each request came in, had its first and its last token, in seconds, and (seconds between two
    tokens, how many).
    """

    first: list[float]
    last: list[float]
    came: list[float]
    gaps: list[tuple[float, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return max(self.last)


@dataclass(slots=True)
class _Run:
    pace: Pace
    requests: Sequence[tuple[float, float]]
    limits: Limits
    weight: float
    loop: float
    course: Course
    clock: float = 0.0
    done: float = 0.0  # tokens that a sequence running from the start would have by now
    running: list[tuple[float, int]] = field(default_factory=list)  # a heap of (when `done` is its last token, request)
    context: float = 0.0  # tokens in the cache, over all that run
    reserved: float = 0.0
    following: int = 0
    ended: int = 0
    alike: int = 1  # passes that the next step stands for
    left: float = 0.0  # tokens of the first waiting prompt that are still to be read, 0: none are

    def held(self, index: int) -> float:
        """Tokens of cache that a request is given when it starts; without its whole answer, those of its mean life."""
        prompt, answer = self.requests[index]
        return prompt + (answer if self.limits.whole else answer / 2)

    def ready(self, index: int, idle: bool) -> bool:
        """Return whether the front end has handed on a request; of those that come together each waits for the last.
        Where the engine is `idle` it waits for it.
        """
        rank = (index + 1) * self.weight if index < self.loop else 0.0
        at = self.course.came[index] + rank * self.limits.intake
        if at > self.clock and idle:
            self.clock = at
        return at <= self.clock

    def seconds(self, decoding: float, context: float, tokens: float = 0.0, prompt: float = 0.0) -> float:
        """Return how long a pass takes, or the front end for the tokens of the one before it."""
        return max(self.pace.seconds(decoding, context, tokens, prompt), decoding * self.limits.stream)

    def admit(self) -> tuple[list[int], float, float]:
        """Return the requests whose prompts the next pass ends, its prompts' tokens and their mean length."""
        chunked, weight = self.limits.chunked, self.weight
        room = self.limits.tokens - (len(self.running) * weight if chunked else 0.0)
        begun: list[int] = []
        tokens = prompts = 0.0
        there = min(float(len(self.requests)), self.loop + self.ended)
        while self.following < there and room > 0:
            prompt, held = self.requests[self.following][0], self.held(self.following)
            busy = len(self.running) + len(begun)
            full = (busy + 1) * weight > self.limits.seqs or (self.reserved + held) * weight > self.limits.cache
            left = (self.left or prompt) * weight
            too_long = not chunked and left > room and begun
            if (full and busy and not self.left) or too_long or not self.ready(self.following, not busy):
                break
            if not tokens:  # a prompt, or what one stands for, that fills a great many passes fills several at once
                self.alike = max(1, int(left / room / _ALIKE)) if chunked else 1
                room *= self.alike
            taken = min(left, room) if chunked else left
            tokens, room, prompts = tokens + taken, room - taken, prompts + prompt * taken
            self.left = (left - taken) / weight
            if self.left > 0:
                break
            begun.append(self.following)
            self.reserved += held
            self.following += 1
        return begun, tokens, prompts / tokens if tokens else 0.0

    def read(self, begun: Iterable[int], tokens: float, prompt: float) -> None:
        """Let one pass with prompts go by; what runs gets a token only where it shares the pass."""
        count = len(self.running)
        beside = count * self.weight if self.limits.chunked else 0.0
        context = self.context / count if count else 0.0
        took = self.seconds(beside, context, tokens / self.alike, prompt)
        self.clock += took * self.alike
        if beside:
            self.course.gaps.append((took, beside * self.alike))
            self.done += self.alike
            self.context += count * self.alike
        elif count:
            self.course.gaps.append((took, 1.0))
        for index in begun:
            asked, answer = self.requests[index]
            self.context += asked
            self.course.first[index] = self.course.last[index] = self.clock
            heappush(self.running, (self.done + max(0.0, answer - 1), index))

    def end(self, index: int, at: float) -> None:
        """Note that a request has its last token; in a closed loop another comes in its place."""
        self.course.last[index] = at
        if (replaced := int(self.ended + self.loop) if self.loop < len(self.requests) else len(self.requests)) < len(
            self.requests
        ):
            self.course.came[replaced] = at
        self.ended += 1

    def decode(self, stride: float) -> None:
        """Let passes without prompts go by until answers end."""
        count = len(self.running)
        steps = max(self.running[0][0] - self.done, stride, 1.0)
        each = self.seconds(count * self.weight, self.context / count + steps / 2)
        self.course.gaps.append((each, steps * count * self.weight))
        while self.running and self.running[0][0] <= self.done + steps:
            end, index = heappop(self.running)
            after = max(0.0, end - self.done)
            self.end(index, self.clock + after * each)
            self.context -= sum(self.requests[index]) - 1 - after
            self.reserved -= self.held(index)
        self.clock += steps * each
        self.done += steps
        self.context = max(0.0, self.context + steps * len(self.running))


def run_all(
    machine: Machine,
    requests: Sequence[tuple[float, float]],
    limits: Limits,
    weight: float = 1.0,
    loop: int | None = None,
) -> Course:
    """Return the course of `requests`, (prompt, answer) tokens each: all there at the start, or in a closed `loop` of
    so many, where each that ends is followed by another.

    Each stands for `weight` alike, so that a long queue costs no longer than a short one.
    """
    count = len(requests)
    course = Course([0.0] * count, [0.0] * count, [0.0] * count)
    run = _Run(Pace(machine), requests, limits, weight, loop or count, course)
    stride = (_TOGETHER if loop is None else 0.0) * sum(answer for _, answer in requests) / count
    while run.following < count or run.running:
        begun, tokens, prompt = run.admit()
        if tokens:
            run.read(begun, tokens, prompt)
        else:
            run.decode(stride)
    return run.course


def quantile(values: Iterable[tuple[float, float]], part: float) -> float:
    """Return the value below which `part` (0 to 1) of (value, weight) pairs lies."""
    ordered = sorted(values)
    reach, passed = part * sum(weight for _, weight in ordered), 0.0
    for value, weight in ordered:
        passed += weight
        if passed >= reach:
            return value
    return ordered[-1][0] if ordered else 0.0


def summary(
    course: Course, requests: Sequence[tuple[float, float]], weight: float, extra: float
) -> Mapping[str, float]:
    """Return the figures of a course by the names that tables of measurements have; `extra` seconds lie before it."""
    count = len(requests)
    firsts = [first + extra for first in course.first]
    paces = [
        (last - first) / (answer - 1)
        for first, last, (_, answer) in zip(course.first, course.last, requests, strict=True)
        if answer > 1
    ] or [0.0]
    asked, told = (weight * sum(column) for column in zip(*requests, strict=True))
    whole = course.seconds + extra
    gaps = course.gaps or [(0.0, 1.0)]
    found = {
        "ttft_mean_ms": sum(firsts) / count * 1e3,
        "tpot_mean_ms": sum(paces) / len(paces) * 1e3,
        "itl_mean_ms": sum(gap * many for gap, many in gaps) / sum(many for _, many in gaps) * 1e3,
        "itl_p99_ms": quantile(gaps, 0.99) * 1e3,
        "out_tok_s": told / whole,
        "total_tok_s": (asked + told) / whole,
        "req_s": weight * count / whole,
        "e2e_latency_s": sum(course.last) / count + extra,
    }
    for part in (50, 90, 95, 99):
        found[f"ttft_p{part}_ms"] = quantile(((first, 1.0) for first in firsts), part / 100) * 1e3
    for part in (50, 95, 99):
        found[f"tpot_p{part}_ms"] = quantile(((pace, 1.0) for pace in paces), part / 100) * 1e3
    return found
