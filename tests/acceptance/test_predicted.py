"""One short run calibrates sizing on this machine: it then says what the engine does at other loads and lengths.

The machine may be busy with other things, so that seconds on the wall say little: what is measured is the engine's own
processor time, which its one thread needs for the same tokens however long it has to wait for its turn. Shared caches
and clocks slow that down, too, now more and now less. So all loads are measured in many short turns that meet the same
disturbances, and of each its middle counts. Where that is not sure enough turns are added, and all of them count.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import openai
import psutil
import pytest

from tests.acceptance.test_quickstart import Stack, stack

__all__ = ["stack"]
WORDS = ["infctl", "plans", "hosts", "models", "the", "state", "of", "a", "server", "that", "waits", "for", "tokens"]
TURNS, MORE, MOST, WITHIN = 20, 10, 60, 0.20


@dataclass(frozen=True)
class Load:
    """So many requests in flight, each of these many words and tokens; each client asks `times` in a round."""

    concurrency: int
    words: int
    tokens: int
    times: int


SHORT_RUN = (Load(1, 100, 64, 3), Load(4, 100, 64, 1), Load(1, 320, 2, 3))
ELSEWHERE = (Load(2, 60, 120, 1), Load(3, 200, 96, 1))


@dataclass(frozen=True)
class Point:
    """Mean tokens of prompts and answers, and answered tokens for each second of the engine's processor time."""

    isl: float
    osl: float
    rate: float


class Served:
    """The stack's model, and the process that computes it."""

    def __init__(self, stack: Stack, url: str) -> None:
        run = f"{stack.folder}/.infctl/"
        (self.engine,) = (
            each for each in psutil.process_iter() if "infctl_local.engine" in (line := _line(each)) and run in line
        )
        self.client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)

    def ask(self, load: Load, seed: int) -> tuple[int, int]:
        """Return the tokens of one prompt, of which no other has the beginning, and of its answer."""
        words = random.Random(seed)
        prompt = " ".join(words.choice(WORDS) for _ in range(load.words))
        answer = self.client.completions.create(
            model="hello", prompt=prompt, max_tokens=load.tokens, extra_body={"ignore_eos": True}
        )
        assert answer.usage is not None
        return answer.usage.prompt_tokens, answer.usage.completion_tokens

    def measure(self, load: Load, seed: int) -> Point:
        before = self.busy()
        with ThreadPoolExecutor(load.concurrency) as pool:
            seeds = range(seed, seed + load.concurrency * load.times)
            tokens = list(pool.map(lambda each: self.ask(load, each), seeds))
        asked, told = zip(*tokens, strict=True)
        return Point(fmean(asked), fmean(told), sum(told) / (self.busy() - before))

    def busy(self) -> float:
        """Return the seconds of processor time that the engine has used, to the nanosecond where the system says so."""
        if sys.platform == "linux":
            return time.clock_gettime((~self.engine.pid << 3) | 2)  # clock_getcpuclockid(3)
        used = self.engine.cpu_times()
        return float(used.user + used.system)


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def served(stack: Stack) -> Iterator[Served]:
    stack.change("max_model_len: 2048", "max_model_len: 2048\n    engine_args: {parallel: 4, threads: 1}")
    stack.infctl("apply", "-auto-approve")
    found = Served(stack, stack.infctl("output", "-raw", "hello.url"))
    with found.client:
        found.measure(Load(1, 20, 8, 2), 0)
        yield found


Turn = dict[Load, Point]


def one_turn(served: Served, number: int) -> Turn:
    """Return what each load reached, one after the other; no two prompts of all turns begin alike."""
    loads = (*SHORT_RUN, *ELSEWHERE)
    return {load: served.measure(load, 100 * (1 + at + len(loads) * number)) for at, load in enumerate(loads)}


def middle(turns: list[Turn]) -> Turn:
    """Return the middle of what each load reached in all turns."""
    return {load: replace(point, rate=median(turn[load].rate for turn in turns)) for load, point in turns[0].items()}


def errors(stack: Stack, points: dict[Load, Point]) -> dict[Load, float]:
    """Return predicted / measured - 1 elsewhere, of what `infctl size` says after the short run."""
    mine = stack.folder / "mine.csv"
    model = str(stack.folder / "models" / "hello.gguf")
    with mine.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "model", "gpu", "engine", "isl", "osl", "load_type", "concurrency", "out_tok_s"))
        for load in SHORT_RUN:
            at = points[load]
            row = (model, "this processor", "llama.cpp", at.isl, at.osl, "concurrency", load.concurrency, at.rate)
            table.writerow((f"{load.concurrency}x{load.words}", *row))
    found = {}
    for load in ELSEWHERE:
        at = points[load]
        said = json.loads(
            stack.infctl(
                "size", "-measured", str(mine), "-model", model, "-gpu", "this processor", "-engine", "llama.cpp",
                "-isl", f"{at.isl:.0f}", "-osl", f"{at.osl:.0f}", "-concurrency", str(load.concurrency), "-json",
            )
        )  # fmt: skip
        assert "fitted to 3 of your own rows" in said["basis"]
        found[load] = said["metrics"]["out_tok_s"]["value"] / at.rate - 1
    return found


@pytest.mark.timeout(300)
def test_a_short_run_says_what_other_loads_and_lengths_give(stack: Stack, served: Served) -> None:
    turns = [one_turn(served, number) for number in range(TURNS)]
    while True:
        off = errors(stack, middle(turns))
        told = ", ".join(f"{load.concurrency} x {load.words} words {error:+.1%}" for load, error in off.items())
        print(f"{len(turns)} turns: {told}")
        if all(abs(error) <= WITHIN for error in off.values()):
            return
        assert len(turns) < MOST, f"off by more than {WITHIN:.0%}: {told}"
        turns += [one_turn(served, len(turns) + number) for number in range(MORE)]


def test_without_a_run_nobody_knows_the_processor(stack: Stack) -> None:
    model = str(Path(stack.folder) / "models" / "hello.gguf")
    said = stack.infctl("size", "-model", model, "-gpu", "this processor", "-engine", "llama.cpp", code=1)
    assert "There is no GPU 'this processor'" in said
