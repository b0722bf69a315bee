"""Owns what one replica does under requests that come in at a rate: latencies, goodput, the most it takes. Pure.

The closed form of an open loop over the passes of `speed`. Of `rate` requests a second, each with `isl` new tokens of a
question (what a prefix cache has is not read again) and `osl` of an answer, with passes of at most B tokens:

    alone = pass(n), n = 1 + c            what a running sequence sees: itself and, of the others, the mean
    added = what reading one question adds to passes;  chunks = isl / (B - n), at least one pass
    TPOT  = alone / (1 - rate added)      questions take that part of the time
    c     = rate (osl - 1) TPOT           Little's law over the sequences that are answered
    W     = rho s (b + cv^2) / 2 (1 - rho), s = isl alone / (B - n) + added, rho = rate s
                                          Kingman's bound for questions; Pollaczek-Khinchine for b = 1
    TTFT  = residue of the pass under way + W + chunks alone + added + what taking a request in costs
    slots: where all `seats` (sequences, KV cache) are taken a request waits for one: Halfin and Whitt (1981) for the
           chance, Allen and Cunneen (1990) for the mean

Tails: first tokens beyond the fastest as a gamma distribution with the mean and variance of the parts added up (Wilson
and Hilferty 1931 for its quantiles), whole answers as log-normal, gaps between tokens as passes with and without
questions. Checked against the run through passes (`arrivals`), which is what is printed; see docs/sizing.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, log, log2, pi, sqrt
from statistics import NormalDist

from infctl.sizing.budget import Memory
from infctl.sizing.decision import PERCENTILES, Objective, Workload
from infctl.sizing.speed import Machine, Pace

STABLE = 0.98  # of the most that can be taken up: above it a queue grows as long as anybody measures
_NORMAL = NormalDist()
_Z = {part: _NORMAL.inv_cdf(part / 100) for part in PERCENTILES}
_HALVINGS = 10
_LEAST = 1000.0  # times less than the most is as good as nobody
_ROOMY = 5.0  # standard deviations of how many run, that there are seats for
_EXACT = 0.002  # of a rate
_STEPS = 40  # of the iteration for how many run


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


@dataclass(frozen=True, slots=True)
class Flow:
    """The steady state at a rate. `running` sequences on average, `token` seconds between two tokens; `first` and
    `whole` are (floor, mean beyond it, variance) of first tokens and of whole answers. Not `stable`: queues grow.
    """

    rate: float
    running: float
    paces: Paces
    token: float
    first: tuple[float, float, float]
    pace_deviation: float
    crowd: float
    stable: bool
    reading: float  # part of the engine's time that goes to questions, when they wait in a row


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
    taken = rate_of(server, server.top) if server.answers else 1 / _in_a_row(server, server.paces(0.0))
    return min(taken, 1 / intake) if intake else taken


def _top(server: Server) -> float:
    """Return how many run at a time where no more can be taken up."""
    low, high = 0.0, server.seats - 1 if server.seats > 1 else 0.5
    if rate_of(server, high) * _in_a_row(server, server.paces(high)) < 1:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = rate_of(server, middle) * _in_a_row(server, server.paces(middle)) < 1
        low, high = (middle, high) if fits else (low, middle)
    return low


def _in_a_row(server: Server, paces: Paces) -> float:
    """Return the seconds for each question where passes are full of them."""
    if not server.answers:
        return paces.mixed * paces.chunks if server.isl >= paces.room else paces.added
    return (server.isl / paces.room if server.chunked else 0.0) * paces.alone + paces.added


def flow(server: Server, rate: float) -> Flow:
    """Return the steady state at `rate` requests a second."""
    running = _running(server, rate)
    return _flow(server, rate, running, server.paces(running))


def _running(server: Server, rate: float) -> float:
    """Solve Little's law: the part of seats taken that `rate` asks for."""
    if not server.answers or rate <= 0:
        return 0.0
    low, high = 0.0, server.seats
    served = rate_of(server, high)
    if served <= rate:
        return high
    below = 0.0
    for _ in range(_STEPS):  # on a straight line between two: the curve is nearly one
        middle = low + (high - low) * min(0.98, max(0.02, (rate - below) / (served - below)))
        found = rate_of(server, middle)
        if abs(found - rate) < _EXACT * rate:
            return middle
        if found < rate:
            low, below = middle, found
        else:
            high, served = middle, found
    return middle


def _flow(server: Server, rate: float, running: float, paces: Paces) -> Flow:
    isl, burstiness = server.workload.isl, server.workload.burstiness
    intake = server.machine.constants.intake
    reading = min(0.99, rate * paces.added)
    token = paces.alone / (1 - reading) if server.answers else 0.0
    row = _in_a_row(server, paces)
    busy = rate * row
    stable = max(busy, rate * intake) < 1 and (not server.answers or running < server.seats * STABLE)
    crowd = _crowd(server, rate, running, token) if server.answers else 0.0
    fill = min(1.0, server.isl / paces.room)
    wait, wait_variance = _queue(min(busy, 0.99), row, isl.squared_cv, burstiness)
    residue, beside, beside_variance = _beside(server, rate, paces, reading)
    seat, seat_variance = _seat(server, running, token, crowd) if server.answers else (0.0, 0.0)
    own = paces.added + server.machine.constants.request_token * isl.mean
    own += (paces.chunks - 1) * paces.alone if server.answers else 0.0
    up = 1 - exp(-running - busy)  # the chance that a pass is under way
    front, front_variance = _queue(min(rate * intake, 0.99), intake, 0.0, burstiness)
    floor = server.taking + (paces.alone if server.answers else 0.0)
    beyond = front + up * residue + fill * wait + (1 - fill) * beside + seat + own
    variance = (
        front_variance
        + fill * wait_variance
        + up * beside_variance
        + seat_variance
        + own**2 * (server.uneven * (1 - reading) + isl.squared_cv * reading)
    )
    deviation = _pace_deviation(server, rate, running, token, crowd)
    return Flow(rate, running, paces, token, (floor, beyond, variance), deviation, crowd, stable, busy)


def _queue(busy: float, service: float, squared: float, burstiness: float) -> tuple[float, float]:
    """Return mean and variance of the wait behind other questions (Kingman; the variance is that of M/G/1)."""
    mean = busy * service * (burstiness + squared) / 2 / (1 - busy)
    third = service**3 * (1 + squared) ** 3  # of a log-normal service
    return mean, mean**2 + busy / service * third / 3 / (1 - busy) if service else 0.0


def _beside(server: Server, rate: float, paces: Paces, reading: float) -> tuple[float, float, float]:
    """Return the mean rest of the pass that a request finds under way, the mean that other questions add which are read
    in the same pass as its own, and the variance of both: a gated queue, where all that came during one pass is read in
    the next. Longer passes are found more often.
    """
    squared, burstiness = server.workload.isl.squared_cv, server.workload.burstiness
    first = paces.alone / (1 - reading) if server.answers else paces.added
    second = rate * first * paces.added**2 * (1 + squared) / (1 - reading**2)
    third = rate * first * paces.added**3 * (1 + squared) ** 3 / (1 - reading**2)
    found = first + second / first  # mean and mean square of the pass that is found
    found_square = first**2 + 3 * second + third / first
    others = rate * found
    if burstiness > 1:  # what comes in clumps finds its like: gaps as a gamma distribution of shape 1 / burstiness
        others += (burstiness - 1) * min(1.0, (others / burstiness) ** (1 / burstiness))
    follow = (0.5 + reading) ** 2 * max(0.0, found_square - found**2)
    variance = found_square / 12 + others * paces.added**2 * (1 + squared) * max(1.0, burstiness) + follow
    return found / 2, others * paces.added, variance


def _crowd(server: Server, rate: float, running: float, token: float) -> float:
    """Return the variance of how many run: that of a birth-and-death process around its middle, mean / elasticity of
    the rate at which answers end. Where more running slow each other down, it is far more than Poisson's.
    """
    if running <= 0:
        return 0.0
    more = server.paces(running * 1.1)
    slower = more.alone / max(0.01, 1 - rate * more.added)
    elasticity = max(0.1, 1 - (slower / token - 1) / 0.1)
    return running / elasticity * (1 + server.workload.burstiness) / 2


def _seat(server: Server, running: float, token: float, crowd: float) -> tuple[float, float]:
    """Return mean and variance of the wait for a seat."""
    free = server.seats - running
    deviation = sqrt(crowd)
    if running <= 0 or free > 5 * deviation:  # no chance that anybody counts
        return 0.0, 0.0
    free = max(free, 0.02 * server.seats)
    slack = free / deviation
    density = exp(-(slack**2) / 2) / sqrt(2 * pi)
    chance = 1 / (1 + slack * _NORMAL.cdf(slack) / density)
    load = server.workload
    held = server.answers * token / free * (load.burstiness + load.osl.squared_cv) / 2
    return chance * held, chance * (2 - chance) * held**2


def _pace_deviation(server: Server, rate: float, running: float, token: float, crowd: float) -> float:
    """Return the standard deviation of a request's mean seconds between tokens: how many others run beside it, and how
    many questions happen to be read meanwhile, which makes it last longer and meet more.
    """
    if not server.answers:
        return 0.0
    added = server.paces(running).added
    reading = min(0.99, rate * added)
    step = max(1.0, sqrt(crowd))
    more = server.paces(running + step)
    slower = more.alone / max(0.01, 1 - rate * more.added)
    beside = ((slower - token) / step) ** 2 * crowd
    met = rate * server.answers * token * (1 + server.workload.isl.squared_cv) * (added / server.answers) ** 2
    return sqrt(beside + met * server.workload.burstiness / (1 - reading) ** 2)


def latencies(server: Server, at: Flow, parts: Sequence[int] = PERCENTILES) -> Mapping[str, float]:
    """Return seconds by name and percentile: ttft_p95, itl_p50, e2e_p99, and tpot_p95 of requests' own means."""
    found: dict[str, float] = {}
    floor, beyond, variance = at.first
    for part in parts:
        first = floor + max(_gamma(beyond, variance, _Z[part]), _log_normal(beyond, variance, _Z[part]))
        found[f"ttft_p{part}"] = first
        if server.answers:
            found[f"itl_p{part}"] = _gap(server, at, part)
            found[f"tpot_p{part}"] = at.token + _Z[part] * at.pace_deviation
            found[f"e2e_p{part}"] = _log_normal(*_whole(server, at), _Z[part])
        else:
            found[f"e2e_p{part}"] = first
    return found


def _whole(server: Server, at: Flow) -> tuple[float, float]:
    """Return mean and variance of the seconds of a whole answer."""
    floor, beyond, variance = at.first
    count, squared = server.answers, server.workload.osl.squared_cv
    mean = floor + beyond + count * at.token
    spread = (count * at.token) ** 2 * squared + (count * at.pace_deviation) ** 2 * (1 + squared)
    return mean, variance + spread


def _gap(server: Server, at: Flow, part: int) -> float:
    """Return a percentile of the gaps between tokens: passes alone with more or fewer running, then those with
    questions, the longest last.
    """
    paces = at.paces
    expected = at.rate * paces.chunks * at.token
    with_questions = 1 - exp(-expected) if paces.chunks <= 1 else min(1.0, expected)
    beyond = 1 - part / 100
    if beyond >= with_questions:
        z = _NORMAL.inv_cdf(min(0.999, max(0.001, (part / 100) / max(1e-9, 1 - with_questions))))
        return server.paces(max(0.0, at.running + z * sqrt(at.crowd))).alone
    rank = 1 - beyond / with_questions
    each, squared = server.isl, server.workload.isl.squared_cv
    isl = _log_normal(each, each * each * squared, _NORMAL.inv_cdf(min(0.999, max(0.001, rank))))
    if paces.chunks <= 1:
        isl *= max(1.0, expected / with_questions)  # several that fell into one pass
    if not server.chunked:
        return paces.alone + paces.added * isl / each
    whole = paces.mixed - paces.alone
    return paces.alone + whole * min(isl, paces.room) / min(each, paces.room)


def _gamma(mean: float, variance: float, z: float) -> float:
    """Return a quantile of a gamma distribution, by the cube-root approximation of Wilson and Hilferty."""
    if mean <= 0 or variance <= 0:
        return max(0.0, mean)
    ninth = variance / (9 * mean * mean)
    return max(0.0, mean * max(0.0, 1 - ninth + z * sqrt(ninth)) ** 3)


def _log_normal(mean: float, variance: float, z: float) -> float:
    """Return a quantile of a log-normal distribution of this mean and variance."""
    if mean <= 0:
        return 0.0
    spread = sqrt(log(1 + variance / mean**2))
    return mean * exp(z * spread - spread * spread / 2)


def goodput(server: Server, at: Flow, objectives: Sequence[Objective]) -> float:
    """Return the share of requests that are within the seconds of every objective; a request's time between tokens is
    its mean. Where queues grow, none.
    """
    if not at.stable:
        return 0.0
    share = 1.0
    for metric in {each.metric for each in objectives}:
        bound = min(each.seconds for each in objectives if each.metric == metric)
        if metric == "ttft":
            floor, beyond, variance = at.first
            share *= _first_below(bound - floor, beyond, variance)
        elif metric == "itl" and server.answers:
            share *= _below_normal(bound, at.token, at.pace_deviation)
        elif metric == "e2e":
            share *= _below_log_normal(bound, *_whole(server, at))
    return share


def _first_below(bound: float, mean: float, variance: float) -> float:
    """Return the chance of a first token within `bound`, of the two shapes of a tail by the heavier."""
    if bound <= 0:
        return 0.0
    return min(_below_gamma(bound, mean, variance), _below_log_normal(bound, mean, variance))


def _below_gamma(bound: float, mean: float, variance: float) -> float:
    if mean <= 0 or variance <= 0:
        return 1.0 if bound >= mean else 0.0
    ninth = variance / (9 * mean * mean)
    return _NORMAL.cdf(((bound / mean) ** (1 / 3) - 1 + ninth) / sqrt(ninth))


def _below_normal(bound: float, mean: float, deviation: float) -> float:
    return _NORMAL.cdf((bound - mean) / deviation) if deviation > 0 else float(bound >= mean)


def _below_log_normal(bound: float, mean: float, variance: float) -> float:
    spread = sqrt(log(1 + variance / mean**2)) if mean > 0 else 0.0
    if not spread:
        return float(bound >= mean)
    return _NORMAL.cdf((log(bound / mean) + spread * spread / 2) / spread)


def missed(server: Server, at: Flow, objectives: Sequence[Objective]) -> tuple[Objective, float] | None:
    """Return the objective that is missed by most, with its figure; None where all are met."""
    if not objectives:
        return None
    found = latencies(server, at, sorted({each.percentile for each in objectives}))
    worst = max(objectives, key=lambda each: found.get(each.name, 0.0) / each.seconds)
    return (worst, found[worst.name]) if found.get(worst.name, 0.0) > worst.seconds else None


def capacity(server: Server, objectives: Sequence[Objective], share: float | None = None) -> float:
    """Return the largest rate at which every objective is met, `share` of the requests meet all of them at once, and
    no queue grows; 0 where not even a single request meets them.
    """
    highest = STABLE * (_running(server, most(server)) if server.answers else most(server))

    def at(point: float) -> Flow:
        if not server.answers:
            return flow(server, point)
        return _flow(server, rate_of(server, point), point, server.paces(point))

    def meets(found: Flow) -> bool:
        if not found.stable or missed(server, found, objectives):
            return False
        return share is None or not objectives or goodput(server, found, objectives) >= share

    low, high = highest / _LEAST, highest
    best = at(low)
    if not meets(best):
        return 0.0
    if meets(found := at(high)):
        return found.rate
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        if meets(found := at(middle)):
            low, best = middle, found
        else:
            high = middle
    return best.rate


def tokens(workload: Workload, rate: float) -> tuple[float, float]:
    """Return tokens a second at `rate`: in and out, and out alone."""
    return rate * (workload.isl.mean + workload.osl.mean), rate * workload.osl.mean


def seats_asked(at: Flow) -> int:
    """Return how many sequences to allow at a time: so many that hardly any request waits for a seat, in sixteens."""
    return 16 * ceil((at.running + _ROOMY * sqrt(at.crowd) + 1) / 16)
