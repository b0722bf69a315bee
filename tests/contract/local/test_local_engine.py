"""What the real llama.cpp server does with our config, and says when it cannot."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infctl_local.engine import common_params, usable_cores
from infctl_local.engine_config import ENGINE_ARGS, EngineConfig, Value, wrong_engine_arg
from infctl_local.identity import wait_gone
from infctl_local.process import LOG, Spec, free_port, read_status, spawn, stop, tail
from infctl_local.record import CONFIG_ERROR
from tests.tiny_gguf import write_tiny_gguf

PATIENCE_S = 20.0
MEMORY = 2 * 2**30  # bytes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_gguf(tmp_path_factory.mktemp("models") / "tiny.gguf"))


@dataclass(frozen=True)
class Engine:
    run_dir: Path
    port: int

    def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@contextmanager
def engine(run_dir: Path, config: EngineConfig) -> Iterator[Engine]:
    run_dir.mkdir()
    (run_dir / "engine.json").write_text(config.to_json())
    argv = (sys.executable, "-P", "-m", "infctl_local.engine", str(run_dir / "engine.json"))
    spawn(run_dir, Spec(argv, grace_s=5))
    try:
        until(lambda: any("infctl: serving" in line for line in tail(run_dir / LOG, 50)))
        yield Engine(run_dir, config.port)
    finally:
        stop(run_dir, 5)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def config_of(model: str, **changes: Any) -> EngineConfig:
    base = EngineConfig(model, free_port("127.0.0.1"), n_ctx=1024, n_parallel=2, alias=("tiny",), args={"threads": 1})
    return replace(base, **changes)


def test_it_streams_completions_and_counts_them(model: str, tmp_path: Path) -> None:
    with engine(tmp_path / "a", config_of(model)) as served:
        status, streamed = served.ask("/v1/completions", {"prompt": "the", "max_tokens": 8, "stream": True})
        events = [line for line in streamed.decode().splitlines() if line]
        assert status == 200
        assert len(events) > 2
        assert events[-1] == "data: [DONE]"
        metrics = dict(line.rsplit(b" ", 1) for line in served.ask("/metrics")[1].splitlines() if line[:1] != b"#")
        assert float(metrics[b"llamacpp:tokens_predicted_total"]) > 0
        names = json.loads(served.ask("/v1/models")[1])["data"][0]
        assert (names["id"], names["meta"]["n_ctx"]) == ("tiny", 512)
        messages = [{"role": "user", "content": "the"}]
        assert served.ask("/v1/chat/completions", {"messages": messages, "max_tokens": 2})[0] == 200
    ended = read_status(tmp_path / "a")
    assert ended is not None
    assert ended.exit_code == 0


def test_it_embeds_inputs_longer_than_a_default_batch(model: str, tmp_path: Path) -> None:
    config = config_of(model, embedding=True, n_ctx=2048, n_parallel=1)
    with engine(tmp_path / "a", config) as served:
        status, answer = served.ask("/v1/embeddings", {"input": "the " * 400})
    assert status == 200
    assert len(json.loads(answer)["data"][0]["embedding"]) == 64


def test_a_seed_makes_answers_repeat(model: str, tmp_path: Path) -> None:
    with engine(tmp_path / "a", config_of(model, args={"threads": 1, "seed": 7, "temp": 2.0})) as served:
        bodies = [served.ask("/v1/completions", {"prompt": "the", "max_tokens": 8})[1] for _ in range(2)]
    first, second = (json.loads(body)["choices"][0]["text"] for body in bodies)
    assert first == second


def test_open_streams_do_not_delay_a_stop(model: str, tmp_path: Path) -> None:
    with engine(tmp_path / "a", config_of(model, args={"threads": 1, "context_shift": True})) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port)
        endless = {"prompt": "the", "max_tokens": -1, "stream": True, "ignore_eos": True}
        connection.request("POST", "/v1/completions", json.dumps(endless))
        assert connection.getresponse().readline().startswith(b"data: ")
        began = time.monotonic()
        stop(served.run_dir, 10)
        assert time.monotonic() - began < 5
        connection.close()


def test_it_ends_with_its_supervisor(model: str, tmp_path: Path) -> None:
    with engine(tmp_path / "a", config_of(model)) as served:
        status = read_status(served.run_dir)
        assert status is not None
        assert status.child is not None
        os.kill(status.supervisor.pid, signal.SIGKILL)
        assert wait_gone(status.child, 10)


def run_to_its_end(folder: Path, config: EngineConfig) -> tuple[int, str]:
    """Return exit code and last line; with little memory, so that no test takes the machine's."""
    (folder / "engine.json").write_text(config.to_json())
    script = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
sys.argv = ["engine", {str(folder / "engine.json")!r}]
runpy.run_module("infctl_local.engine", run_name="__main__")
"""
    argv = (sys.executable, "-c", script)
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stderr.splitlines()[-1]


# What is wrong: a change of the config, a change of the model file, and what must be said.
CAUSES: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes] | None, str]] = {
    "no file": ({"model": "/nowhere/x.gguf"}, None, "cannot read the model file /nowhere/x.gguf: No such file"),
    "another format": ({}, lambda data: b"PK\3\4" + data[4:], "is not a GGUF file: it begins with b'PK"),
    "half a file": ({}, lambda data: data[: len(data) // 2], "model is corrupted or incomplete"),
    "architecture": ({}, lambda data: data.replace(b"llama", b"lamas"), "unknown model architecture: 'lamas'"),
    "memory": ({"n_ctx": 8_000_000}, None, "not enough memory for a context of 8000000 tokens: "),
    "no such context": ({"n_ctx": 2**40}, None, "n_ctx must be between 0 and 2147483647 tokens"),
    "template": ({"args": {"chat_template": "{{x"}}, None, "Parser Error"),
    "argument": ({"args": {"thread": 1}}, None, "engine_args.thread: not an argument of the embedded llama.cpp"),
    "address": ({"host": "192.0.2.1"}, None, "cannot listen on 192.0.2.1:"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_server_that_cannot_come_up_names_the_cause(model: str, tmp_path: Path, cause: str) -> None:
    change, spoil, said = CAUSES[cause]
    config = replace(config_of(model), **change)
    if spoil:
        config = replace(config, model=str(tmp_path / "spoiled.gguf"))
        Path(config.model).write_bytes(spoil(Path(model).read_bytes()))
    code, last = run_to_its_end(tmp_path, config)
    assert code == CONFIG_ERROR
    assert last.startswith("infctl: error: ")
    assert said in last


def test_a_port_in_use_is_named_and_may_be_tried_again(model: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        config = config_of(model, port=stranger.getsockname()[1])
        code, last = run_to_its_end(tmp_path, config)
    assert code == 75
    assert last == f"infctl: error: cannot listen on 127.0.0.1:{config.port}: Address already in use"


EXAMPLES: dict[type, Value] = {bool: False, int: 3, float: 0.25, str: "chatml"}


@pytest.mark.parametrize("name", ENGINE_ARGS)
def test_each_argument_has_its_place(name: str) -> None:
    known = ENGINE_ARGS[name]
    for value in known.choices or (EXAMPLES[known.type],):
        assert wrong_engine_arg(name, value) == ""
        params: Any = common_params(EngineConfig("x.gguf", 1, args={name: value}))
        for step in known.attribute.split("."):
            params = getattr(params, step)
        assert getattr(params, "name", params) == known.choices.get(str(value), value)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("thread", 1, "not an argument of the embedded llama.cpp"),
        ("threads", "2", "must be a whole number"),
        ("threads", True, "must be a whole number"),
        ("threads", 0, "must be at least 1"),
        ("threads", 2**31, "must be at most 2147483647"),
        ("rope_freq_base", 10_000, ""),
        ("kv_unified", 1, "must be true or false"),
        ("load_mode", "fast", "must be one of auto, mmap, mlock, mmap_mlock, direct_io, none"),
    ],
)
def test_a_wrong_argument_is_said(name: str, value: Value, wrong: str) -> None:
    assert wrong_engine_arg(name, value) == wrong


def test_threads_of_two_engines_fit_the_cores() -> None:
    assert common_params(EngineConfig("x.gguf", 1)).cpuparams.n_threads == max(1, usable_cores() // 2)


def test_a_config_survives_its_file() -> None:
    config = EngineConfig("x.gguf", 1, alias=("a", "b"), embedding=True, args={"threads": 2})
    assert EngineConfig.from_json(config.to_json()) == config
