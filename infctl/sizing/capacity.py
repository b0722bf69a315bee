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
from math import ceil, exp, pi, sqrt

from infctl.sizing.decision import PERCENTILES, Objective, Workload
from infctl.sizing.server import Paces, Server, in_a_row, most, rate_of
from infctl.sizing.tails import NORMAL, below_log_normal, below_normal, first_below, gamma, log_normal

STABLE = 0.98  # of the most that can be taken up: above it a queue grows as long as anybody measures
_Z = {part: NORMAL.inv_cdf(part / 100) for part in PERCENTILES}
_HALVINGS = 9
_LEAST = 1000.0  # times less than the most is as good as nobody
_ROOMY = 5.0  # standard deviations of how many run, that there are seats for
_EXACT = 0.002  # of a rate
_STEPS = 40  # of the iteration for how many run


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
    row = in_a_row(server, paces)
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
    deviation = _pace_deviation(server, rate, running, (token, paces.added), crowd)
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
    chance = 1 / (1 + slack * NORMAL.cdf(slack) / density)
    load = server.workload
    held = server.answers * token / free * (load.burstiness + load.osl.squared_cv) / 2
    return chance * held, chance * (2 - chance) * held**2


def _pace_deviation(server: Server, rate: float, running: float, paces: tuple[float, float], crowd: float) -> float:
    """Return the standard deviation of a request's mean seconds between tokens: how many others run beside it, and how
    many questions happen to be read meanwhile, which makes it last longer and meet more. `paces` are the seconds of a
    token, and those that a question adds.
    """
    if not server.answers:
        return 0.0
    token, added = paces
    reading = min(0.99, rate * added)
    step = max(1.0, sqrt(crowd))
    more = server.paces(running + step)
    slower = more.alone / max(0.01, 1 - rate * more.added)
    beside = ((slower - token) / step) ** 2 * crowd
    met = rate * server.answers * token * (1 + server.workload.isl.squared_cv) * (added / server.answers) ** 2
    return sqrt(beside + met * server.workload.burstiness / (1 - reading) ** 2)


def latencies(server: Server, at: Flow, parts: Sequence[int] = PERCENTILES) -> Mapping[str, float]:
    """Return seconds by name and percentile: ttft_p95, itl_p50, e2e_p99, and tpot_p95 of requests' own means."""
    metrics = ("ttft", "itl", "tpot", "e2e") if server.answers else ("ttft", "e2e")
    return {f"{metric}_p{part}": _latency(server, at, metric, part) for part in parts for metric in metrics}


def _latency(server: Server, at: Flow, metric: str, part: int) -> float:
    """Return a percentile of a metric in seconds; of what encoders do not have, nothing."""
    if metric == "ttft" or (metric == "e2e" and not server.answers):
        floor, beyond, variance = at.first
        return floor + max(gamma(beyond, variance, _Z[part]), log_normal(beyond, variance, _Z[part]))
    if not server.answers:
        return 0.0
    if metric == "itl":
        return _gap(server, at, part)
    return at.token + _Z[part] * at.pace_deviation if metric == "tpot" else log_normal(*_whole(server, at), _Z[part])


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
        z = NORMAL.inv_cdf(min(0.999, max(0.001, (part / 100) / max(1e-9, 1 - with_questions))))
        return server.paces(max(0.0, at.running + z * sqrt(at.crowd))).alone
    rank = 1 - beyond / with_questions
    each, squared = server.isl, server.workload.isl.squared_cv
    isl = log_normal(each, each * each * squared, NORMAL.inv_cdf(min(0.999, max(0.001, rank))))
    if paces.chunks <= 1:
        isl *= max(1.0, expected / with_questions)  # several that fell into one pass
    if not server.chunked:
        return paces.alone + paces.added * isl / each
    whole = paces.mixed - paces.alone
    return paces.alone + whole * min(isl, paces.room) / min(each, paces.room)


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
            share *= first_below(bound - floor, beyond, variance)
        elif metric == "itl" and server.answers:
            share *= below_normal(bound, at.token, at.pace_deviation)
        elif metric == "e2e":
            share *= below_log_normal(bound, *_whole(server, at))
    return share


def missed(server: Server, at: Flow, objectives: Sequence[Objective]) -> tuple[Objective, float] | None:
    """Return the objective that is missed by most, with its figure; None where all are met."""
    if not objectives:
        return None
    found = [_latency(server, at, each.metric, each.percentile) for each in objectives]
    worst, seconds = max(zip(objectives, found, strict=True), key=lambda pair: pair[1] / pair[0].seconds)
    return (worst, seconds) if seconds > worst.seconds else None


def capacity(server: Server, objectives: Sequence[Objective], share: float | None = None) -> float:
    """Return the largest rate at which every objective is met, `share` of the requests meet all of them at once, and
    no queue grows; 0 where not even a single request meets them.
    """
    highest = STABLE * (_running(server, most(server)) if server.answers else most(server))

    def at(point: float) -> Flow:
        if not server.answers:
            return flow(server, point)
        paces = server.paces(point)
        return _flow(server, point / (server.answers * paces.alone + point * paces.added), point, paces)

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
