"""Owns the course of requests that come in over time: pass by pass, as an engine's scheduler takes them up. Pure.

The same scheduler as in `passes`, with arrivals: first come first served, a token for each running sequence in each
pass, questions in chunks beside them up to the limit of tokens. Where nothing comes, starts or ends for a while,
the passes between are taken together. Chance comes from a seed: the same seed runs the same course.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from heapq import heappop, heappush
from math import ceil, exp, log, sqrt
from random import Random
from statistics import NormalDist

from infctl.sizing.decision import PERCENTILES, Lengths, Objective, Request, Workload
from infctl.sizing.passes import Limits, quantile
from infctl.sizing.speed import Machine, Pace

SEED = 20261121
_EARLY = 0.1  # more requests, before those that are looked at


@dataclass(slots=True)
class Course:
    """Seconds of each request from its arrival to its first and to its last token, and (gap, how many) of tokens."""

    first: list[float]
    last: list[float]
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class _Run:
    pace: Pace
    requests: Sequence[Request]
    limits: Limits
    cached: float
    course: Course
    clock: float = 0.0
    done: float = 0.0  # tokens that a sequence running from the start would have by now
    running: list[tuple[float, int]] = field(default_factory=list)  # a heap of (when `done` is its last token, request)
    context: float = 0.0
    reserved: float = 0.0
    following: int = 0  # the next request to start
    left: float = 0.0  # tokens of its question that are still to be read, 0: none are read yet

    def new(self, index: int) -> float:
        """Tokens of a question that no cache has."""
        return max(1.0, self.requests[index].isl * (1 - self.cached))

    def seconds(self, decoding: float, context: float, tokens: float = 0.0, length: float = 0.0) -> float:
        """Return how long a pass takes, or the front end for the tokens of the one before it."""
        return max(self.pace.seconds(decoding, context, tokens, length), decoding * self.limits.stream)

    def held(self, index: int) -> float:
        asked = self.requests[index]
        return asked.isl + (asked.osl if self.limits.whole else asked.osl / 2)

    def admit(self) -> tuple[list[int], float, float]:
        """Return the requests whose questions the next pass ends, its questions' tokens and their mean length."""
        room = float(self.limits.tokens) - (len(self.running) if self.limits.chunked else 0)
        begun: list[int] = []
        tokens = lengths = 0.0
        while self.following < len(self.requests) and room > 0 and self.requests[self.following].at <= self.clock:
            index = self.following
            busy = len(self.running) + len(begun)
            full = busy + 1 > self.limits.seqs or self.reserved + self.held(index) > self.limits.cache
            left = self.left or self.new(index)
            if (full and busy and not self.left) or (not self.limits.chunked and left > room and begun):
                break
            taken = min(left, room) if self.limits.chunked else left
            tokens, room = tokens + taken, room - taken
            lengths += self.requests[index].isl * taken
            self.left = left - taken
            if self.left > 0:
                break
            begun.append(index)
            self.reserved += self.held(index)
            self.following += 1
        return begun, tokens, lengths / tokens if tokens else 0.0

    def read(self, begun: Sequence[int], tokens: float, length: float) -> None:
        """Let one pass with questions go by."""
        count = len(self.running)
        beside = count if self.limits.chunked else 0
        took = self.seconds(beside, self.context / count if count else 0.0, tokens, length)
        self.clock += took
        if beside:
            self.done += 1
            self.context += count
        if count:
            self.course.gaps.append((took, count))
        for index in begun:
            asked = self.requests[index]
            self.context += asked.isl
            self.course.first[index] = self.course.last[index] = self.clock - asked.at
            heappush(self.running, (self.done + max(0.0, asked.osl - 1), index))
        if beside:
            self.leave(0.0)

    def decode(self) -> None:
        """Let passes without questions go by until an answer ends or a request comes."""
        count = len(self.running)
        steps = max(1.0, self.running[0][0] - self.done)
        each = self.seconds(count, self.context / count + steps / 2)
        if self.following < len(self.requests) and self.requests[self.following].at > self.clock:
            until = (self.requests[self.following].at - self.clock) / each
            steps = min(steps, float(int(until) + 1))
        self.course.gaps.append((each, steps * count))
        self.clock += steps * each
        self.done += steps
        self.context += steps * count
        self.leave(each)

    def leave(self, each: float) -> None:
        """Take out what has its last token."""
        while self.running and self.running[0][0] <= self.done:
            end, index = heappop(self.running)
            asked = self.requests[index]
            self.course.last[index] = self.clock - (self.done - end) * each - asked.at
            self.context = max(0.0, self.context - asked.isl - asked.osl + 1)
            self.reserved -= self.held(index)


def run_arrivals(machine: Machine, requests: Sequence[Request], limits: Limits, cached: float = 0.0) -> Course:
    """Return the course of `requests`, which are in the order of their arrival; `cached` is the part of a question that
    need not be read. What a front end takes before and after is in it.
    """
    count, c = len(requests), machine.constants
    run = _Run(Pace(machine), _taken_in(requests, limits.intake), limits, cached, Course([0.0] * count, [0.0] * count))
    while run.following < count or run.running:
        if not run.running and not run.left and run.requests[run.following].at > run.clock:
            run.clock = run.requests[run.following].at
        begun, tokens, length = run.admit()
        if tokens:
            run.read(begun, tokens, length)
        else:
            run.decode()
    for index, (came, taken) in enumerate(zip(requests, run.requests, strict=True)):
        before = taken.at - came.at + c.request + c.request_token * came.isl
        run.course.first[index] += before
        run.course.last[index] += before
    return run.course


def _taken_in(requests: Sequence[Request], intake: float) -> Sequence[Request]:
    """Return requests as the front end hands them on, one after the other, each `intake` seconds."""
    if not intake:
        return requests
    free, found = 0.0, []
    for each in requests:
        free = max(free, each.at) + intake
        found.append(Request(free, each.isl, each.osl))
    return found


def requests_of(workload: Workload, rate: float, count: int, seed: int = SEED) -> tuple[Request, ...]:
    """Return `count` requests at `rate` a second and a tenth more before them, which come while the replica is emptier
    than it will be: of the trace, where there is one, those that came closest together, at their own times stretched
    to that rate; else at random, with lengths and gaps spread as the workload says (log-normal and gamma).
    """
    early = int(count * _EARLY)
    if workload.trace:
        return _closest(workload.trace, early + count, rate)
    chance, at, made = Random(seed), 0.0, []  # noqa: S311  # a simulation
    shape = 1 / max(1e-6, workload.burstiness)
    for part in (early, count):
        asked, told = _lengths(chance, workload.isl, part), _lengths(chance, workload.osl, part)
        for isl, osl in zip(asked, told, strict=True):
            at += chance.gammavariate(shape, 1 / (shape * rate))
            made.append(Request(at, isl, osl))
    return tuple(made)


def _closest(trace: Sequence[Request], count: int, rate: float) -> tuple[Request, ...]:
    """Return the `count` requests of a trace that came in the shortest time, as if they came at `rate` a second."""
    count = min(count, len(trace))
    begin = min(range(len(trace) - count + 1), key=lambda index: trace[index + count - 1].at - trace[index].at)
    found = trace[begin : begin + count]
    lasted = found[-1].at - found[0].at
    scale = (count - 1) / lasted / rate if lasted else 1.0
    return tuple(Request((each.at - found[0].at) * scale, each.isl, each.osl) for each in found)


def _lengths(chance: Random, lengths: Lengths, count: int) -> list[float]:
    """Return so many lengths, one of each quantile, in a random order: their tail is that of the distribution, which
    drawing them would give only for a great many.
    """
    if lengths.squared_cv <= 0:
        return [max(1.0, lengths.mean)] * count
    spread = sqrt(log(1 + lengths.squared_cv))
    middle = log(lengths.mean) - spread * spread / 2
    found = [max(1.0, exp(middle + spread * each)) for each in _quantiles(count)]
    chance.shuffle(found)
    return found


@cache
def _quantiles(count: int) -> tuple[float, ...]:
    return tuple(NormalDist().inv_cdf((index + 0.5) / count) for index in range(count))


def observed(course: Course, requests: Sequence[Request], objectives: Sequence[Objective] = ()) -> Mapping[str, float]:
    """Return what the requests met, but for the early ones: percentiles by name (ttft_p95, itl_p50, e2e_p99) in
    seconds, and `goodput`, the share within every objective.
    """
    early = 1 - 1 / (1 + _EARLY)
    begin = round(len(requests) * early)
    kept = range(begin, len(requests))
    first = [course.first[index] for index in kept]
    whole = [course.last[index] for index in kept]
    pace = [
        (course.last[index] - course.first[index]) / (requests[index].osl - 1) if requests[index].osl > 1 else 0.0
        for index in kept
    ]
    gaps = course.gaps[int(len(course.gaps) * early) :]
    found = {f"itl_p{part}": quantile(gaps, part / 100) for part in PERCENTILES}
    for name, each in (("ttft", first), ("e2e", whole), ("tpot", pace)):
        ordered = sorted(each)
        found |= {f"{name}_p{part}": ordered[ceil(part / 100 * len(ordered)) - 1] for part in PERCENTILES}
    values = {"ttft": first, "itl": pace, "e2e": whole}
    good = sum(all(values[each.metric][row] <= each.seconds for each in objectives) for row in range(len(first)))
    return found | {"goodput": good / len(first)}
