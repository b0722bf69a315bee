"""Requests that come in over time, run through pass by pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from infctl.sizing.arrivals import observed, requests_of, run_arrivals
from infctl.sizing.decision import Objective, Request
from infctl.sizing.passes import Limits
from infctl.sizing.speed import Machine, pass_seconds
from tests.unit.sizing.asked import CHAT, server, workload

MACHINE = server("L40S", CHAT).machine
ROOM = Limits(256, 2048, 1e6)


def test_one_request_takes_its_prompt_and_its_tokens() -> None:
    course = run_arrivals(MACHINE, (Request(3.0, 600, 11),), ROOM)
    reading = pass_seconds(MACHINE, 0, 0, 600, 600)
    tokens = 10 * pass_seconds(MACHINE, 1, 605)
    assert course.first[0] == pytest.approx(reading + MACHINE.constants.request)
    assert course.last[0] - course.first[0] == pytest.approx(tokens, rel=1e-3)


def test_a_long_prompt_is_read_in_chunks() -> None:
    whole = run_arrivals(MACHINE, (Request(0, 4000, 1),), ROOM).first[0]
    chunks = run_arrivals(MACHINE, (Request(0, 4000, 1),), Limits(256, 512, 1e6)).first[0]
    assert whole == pytest.approx(2 * pass_seconds(MACHINE, 0, 0, 2000, 4000) + 0.008, rel=0.05)
    assert chunks > whole


def test_who_comes_while_a_pass_runs_waits_for_its_end() -> None:
    one, two = Request(0.0, 2000, 50), Request(0.001, 100, 50)
    course = run_arrivals(MACHINE, (one, two), ROOM)
    first = pass_seconds(MACHINE, 0, 0, 2000, 2000)
    assert course.first[1] > first - 0.001
    assert course.first[1] < course.first[0] + pass_seconds(MACHINE, 1, 2000, 100, 100) + 0.001


def test_without_a_seat_a_request_waits_for_an_answers_end() -> None:
    both = (Request(0.0, 100, 200), Request(0.0, 100, 200))
    one_seat = run_arrivals(MACHINE, both, Limits(1, 2048, 1e6))
    assert one_seat.first[1] > one_seat.last[0]
    assert run_arrivals(MACHINE, both, ROOM).first[1] < one_seat.last[0] / 10


def test_the_cache_is_a_limit_like_seats() -> None:
    both = (Request(0.0, 1000, 200), Request(0.0, 1000, 200))
    assert run_arrivals(MACHINE, both, Limits(256, 4096, 1500)).first[1] > 1.0
    assert run_arrivals(MACHINE, both, Limits(256, 4096, 3000)).first[1] < 1.0


def test_a_front_end_takes_requests_in_one_after_the_other() -> None:
    together = tuple(Request(0.0, 100, 2) for _ in range(10))
    course = run_arrivals(MACHINE, together, replace(ROOM, intake=0.1))
    assert course.first[9] > 1.0
    assert course.first[0] < 0.3


def test_the_same_seed_is_the_same_course_and_another_is_another() -> None:
    once, again = (requests_of(CHAT, 4.0, 50) for _ in range(2))
    assert once == again != requests_of(CHAT, 4.0, 50, seed=1)


def test_requests_have_the_rate_the_lengths_and_the_bursts_asked_for() -> None:
    asked = replace(workload((900, 1.5), (220, 0.6)), burstiness=3.0)
    made = requests_of(asked, 5.0, 4000)[400:]
    gaps = [later.at - sooner.at for sooner, later in pairwise(made)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.2, rel=0.1)
    assert sum((gap / mean - 1) ** 2 for gap in gaps) / len(gaps) == pytest.approx(3.0, rel=0.3)
    lengths = [each.isl for each in made]
    assert sum(lengths) / len(lengths) == pytest.approx(900, rel=0.02)
    assert sum((each / 900 - 1) ** 2 for each in lengths) / len(lengths) == pytest.approx(1.5, rel=0.15)


def test_of_a_trace_the_closest_requests_come_at_the_rate_asked_for() -> None:
    slow = [Request(10.0 * index, 100, 10) for index in range(20)]
    fast = [Request(200.0 + index, 300 + index, 10) for index in range(20)]
    asked = replace(workload((110, 0), (10, 0), rate=1.0), trace=(*slow, *fast))
    made = requests_of(asked, 2.0, 10)
    assert [each.isl for each in made] == [300 + index for index in range(11)]
    assert made[0].at == 0.0
    assert made[10].at == pytest.approx(5.0)
    assert len(requests_of(asked, 2.0, 1000)) == 40


def test_goodput_counts_requests_that_meet_every_bound() -> None:
    requests = requests_of(CHAT, 2.0, 400)
    course = run_arrivals(MACHINE, requests, ROOM)
    loose, tight = Objective("ttft", 95, 60.0), Objective("e2e", 50, 1e-6)
    assert observed(course, requests, (loose,))["goodput"] == 1.0
    assert observed(course, requests, (loose, tight))["goodput"] == 0.0
    found = observed(course, requests)
    assert found["ttft_p50"] < found["ttft_p95"] < found["ttft_p99"]
    half = Objective("e2e", 50, found["e2e_p50"])
    assert observed(course, requests, (half,))["goodput"] == pytest.approx(0.5, abs=0.01)


def test_scheduler_without_chunks_gives_prompts_passes_of_their_own() -> None:
    requests = requests_of(workload((900, 0), (100, 0)), 3.0, 200)
    alone = observed(run_arrivals(MACHINE, requests, replace(ROOM, chunked=False)), requests)
    shared = observed(run_arrivals(MACHINE, requests, ROOM), requests)
    assert isinstance(MACHINE, Machine)
    assert alone["itl_p99"] > alone["itl_p50"]
    assert alone["ttft_p50"] == pytest.approx(shared["ttft_p50"], rel=0.5)
