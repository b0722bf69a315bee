"""Owns one replica as a server of requests: how long its passes are, how many it seats, the most it takes up. Pure.

What queues make of that is `capacity`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log2, sqrt

from infctl.sizing.budget import Memory
from infctl.sizing.decision import Workload
from infctl.sizing.speed import Machine, Pace

_HALVINGS = 10


@dataclass(frozen=True)  # without slots: what follows from it is kept
class Server:
    """One replica: a model on its GPUs, started with these limits. `chunked` is whether questions share passes with
    tokens; `whole` whether a request's whole answer must have room in the cache before it starts.
    """

    machine: Machine
    memory: Memory
    workload: Workload
    chunked: bool = True
    whole: bool = False

    @cached_property
    def isl(self) -> float:
        """New tokens of a question."""
        return max(1.0, self.workload.isl.mean * (1 - self.workload.cached))

    @cached_property
    def answers(self) -> float:
        """Tokens of an answer that follow the first."""
        return 0.0 if self.machine.shape.encoder else max(0.0, self.workload.osl.mean - 1)

    @cached_property
    def context(self) -> float:
        """Mean tokens in the cache of a sequence that is being answered: long answers are met more often."""
        answer = self.workload.osl
        return self.workload.isl.mean + answer.mean * (1 + answer.squared_cv) / 2

    @cached_property
    def seats(self) -> float:
        """Sequences that can run at a time."""
        held = self.workload.isl.mean + self.workload.osl.mean if self.whole else self.context
        room = self.memory.kv_tokens / held if self.memory.kv_tokens else float("inf")
        return max(1.0, min(float(self.memory.most_seqs), room))

    @cached_property
    def top(self) -> float:
        """How many run at a time where no more can be taken up."""
        return _top(self)

    @cached_property
    def _measured(self) -> dict[int, tuple[float, float]]:
        return {}

    def paces(self, running: float) -> Paces:
        """Return the seconds of passes where a sequence sees `running` others: between powers of two on a line, for a
        search asks hundreds of times.
        """
        many = 1.0 + running
        power = int(log2(many)) if self.answers else 0
        low, high = 1 << power, 2 << power
        (alone, mixed), (alone_high, mixed_high) = self._pass(low), self._pass(high)
        part = (many - low) / low if self.answers else 0.0
        alone, mixed = alone + part * (alone_high - alone), mixed + part * (mixed_high - mixed)
        room = self.room(many)
        chunks = max(1.0, self.isl / room)
        return Paces(many, alone, mixed, chunks, room, chunks * (mixed - (alone if self.chunked else 0.0)))

    def room(self, many: float) -> float:
        """Tokens of questions that one pass has room for."""
        return max(1.0, self.memory.most_tokens - (many if self.chunked and self.answers else 0.0))

    def _pass(self, many: int) -> tuple[float, float]:
        """Return the seconds of a pass with so many sequences, alone and with a question or as much as there is room
        for.
        """
        if (found := self._measured.get(many)) is None:
            chunk = min(self.isl, self.room(many))
            found = self._measured[many] = (self.reading(many, 0.0), self.reading(many, chunk))
        return found

    def reading(self, many: float, chunk: float) -> float:
        """Return the seconds of a pass with `many` sequences that reads so many tokens of questions."""
        length = self.workload.isl.mean
        if not self.answers:
            return self.pace.seconds(0.0, 0.0, chunk, length) if chunk else 0.0
        beside = many if self.chunked or not chunk else 0.0
        took = self.pace.seconds(beside, self.context if beside else 0.0, chunk, length)
        return max(took, beside * self.machine.constants.stream)

    @cached_property
    def pace(self) -> Pace:
        return Pace(self.machine)

    @cached_property
    def taking(self) -> float:
        """Seconds that go by before any request is with the scheduler and after its token is chosen."""
        c = self.machine.constants
        return c.request + c.intake

    @cached_property
    def uneven(self) -> float:
        """The squared coefficient of variation of the time that questions take: more than that of their tokens where a
        short one is read beside weights that are read anyway.
        """
        squared = self.workload.isl.squared_cv
        if not squared:
            return 0.0
        paces = self.paces(0.0)
        longer = self.isl * (1 + sqrt(squared))
        chunk = min(longer, paces.room)
        added = longer / chunk * (self.reading(1, chunk) - (paces.alone if self.chunked else 0.0))
        return max(squared, (added / paces.added - 1) ** 2) if paces.added > 0 else squared


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds of a pass `alone`, and of one `mixed` with (a chunk of) a question; `added` is what the whole question
    adds, in `chunks` passes of which each has `room` for so many tokens.
    """

    many: float
    alone: float
    mixed: float
    chunks: float
    room: float
    added: float


def rate_of(server: Server, running: float) -> float:
    """Return the requests a second with which `running` sequences are answered at a time (the inverse of Little)."""
    paces = server.paces(running)
    return running / (server.answers * paces.alone + running * paces.added)


def ceiling(server: Server) -> float:
    """Return a rate that cannot be exceeded, quickly: that of all seats taken, without looking at any queue."""
    if not server.answers:
        return most(server)
    many = server.seats
    alone, mixed = (server.reading(many, chunk) for chunk in (0.0, min(server.isl, server.room(many))))
    added = max(1.0, server.isl / server.room(many)) * (mixed - (alone if server.chunked else 0.0))
    return many / (server.answers * alone + many * added)


def most(server: Server) -> float:
    """Return the largest rate that can be taken up: by seats, or by the room that passes have for questions."""
    intake = server.machine.constants.intake
    taken = rate_of(server, server.top) if server.answers else 1 / in_a_row(server, server.paces(0.0))
    return min(taken, 1 / intake) if intake else taken


def _top(server: Server) -> float:
    """Return how many run at a time where no more can be taken up."""
    low, high = 0.0, server.seats - 1 if server.seats > 1 else 0.5
    if rate_of(server, high) * in_a_row(server, server.paces(high)) < 1:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = rate_of(server, middle) * in_a_row(server, server.paces(middle)) < 1
        low, high = (middle, high) if fits else (low, middle)
    return low


def in_a_row(server: Server, paces: Paces) -> float:
    """Return the seconds for each question where passes are full of them."""
    if not server.answers:
        return paces.mixed * paces.chunks if server.isl >= paces.room else paces.added
    return (server.isl / paces.room if server.chunked else 0.0) * paces.alone + paces.added
