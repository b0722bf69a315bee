"""What infctl says of llama.cpp, held against real engines: the memory they take, the metrics they give."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infctl.engines.gguf import read_header
from infctl.engines.llama_cpp import METRICS, METRICS_PATH
from infctl.engines.model_file import ModelFile
from infctl.engines.shape import shape_of
from infctl.sizing.memory import COPIED, MIB, need_of
from tests.needs import need
from tests.tiny_gguf import write_tiny_gguf

STARTER = Path(__file__).parents[2] / "stacks" / "hello" / "models" / "hello.gguf"


def model_file(path: Path) -> ModelFile:
    header = read_header(path)
    size = path.stat().st_size
    return ModelFile("", path, size, "", header.weights, 0, "", header.formats, shape_of(header))


@dataclass(frozen=True)
class Running:
    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def started(path: Path, args: dict[str, Any], folder: Path) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = {
        "model": str(path), "port": port, "alias": ["m"], "n_ctx": args["ctx_size"], "n_parallel": args["parallel"],
        "args": {"verbosity": 4, **{k: v for k, v in args.items() if k not in {"ctx_size", "parallel"}}},
    }  # fmt: skip
    (folder / "engine.json").write_text(json.dumps(config))
    log = folder / "engine.log"
    with log.open("wb") as out:
        argv = [sys.executable, "-P", "-m", "infctl_local.engine", str(folder / "engine.json")]
        engine = subprocess.Popen(argv, stdout=out, stderr=out)
        try:
            wait_for(port, engine)
            yield Running(port, engine, log)
        finally:
            engine.kill()
            engine.wait()


def measure(path: Path, args: dict[str, Any], folder: Path) -> tuple[int, dict[str, float]]:
    """Return the resident bytes of an engine whose every slot was used, and the buffers in MiB that its log names."""
    slots = args["parallel"]
    prompts = [[10 + slot] * (args["ctx_size"] // slots - 16) for slot in range(slots)]
    with started(path, args, folder) as engine:
        with ThreadPoolExecutor(slots) as pool:
            list(pool.map(lambda prompt: complete(engine.port, prompt), prompts))
        resident = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{engine.process.pid}/status").read_text())
        said = re.findall(r"(\w+) +(?:model )?buffer size = *([\d.]+) MiB", engine.log.read_text(errors="replace"))
    assert resident
    return int(resident[1]) * 1024, {name: float(size) for name, size in said}


def wait_for(port: int, engine: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert engine.poll() is None, "the engine ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the engine did not come up")


def complete(port: int, prompt: list[int]) -> None:
    body = json.dumps({"model": "m", "prompt": prompt, "max_tokens": 2}).encode()
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/v1/completions"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        answer.read()


@pytest.mark.parametrize(
    "args",
    [
        {"ctx_size": 1024, "parallel": 1, "cache_ram": 0},
        {"ctx_size": 8192, "parallel": 4, "cache_ram": 0},
        {"ctx_size": 8192, "parallel": 8, "cache_ram": 0, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
    ],
    ids=["one slot", "four slots", "eight slots, q8_0"],
)
def test_a_used_engine_takes_what_was_promised(args: dict[str, Any], tmp_path: Path) -> None:
    need(sys.platform == "linux", "Linux, for a process's memory in /proc")
    file = model_file(STARTER)
    resident, buffers = measure(STARTER, args, tmp_path)
    promised = need_of(file, args, "generate")
    assert promised is not None
    assert promised.kv / MIB == pytest.approx(buffers["KV"], abs=0.02)
    assert promised.compute / MIB == pytest.approx(buffers["compute"], rel=0.1)
    copied = sum(size for name, size in file.formats.items() if name in COPIED)
    print(f"promised {promised.total / MIB:.1f} MiB, resident {resident / MIB:.1f} MiB")
    assert promised.total == pytest.approx(resident - copied, rel=0.15)


def test_the_metrics_have_the_names_that_are_expected(tmp_path: Path) -> None:
    args = {"ctx_size": 512, "parallel": 1, "cache_ram": 0}
    with started(STARTER, args, tmp_path) as engine:
        complete(engine.port, [10, 11, 12])
        with urllib.request.urlopen(f"http://127.0.0.1:{engine.port}{METRICS_PATH}", timeout=5) as answer:
            found = dict(re.findall(r"^(\S+) (\S+)$", answer.read().decode(), re.MULTILINE))
    assert set(METRICS.values()) <= set(found)
    assert float(found[METRICS["tokens_out"]]) == 2


def test_a_slot_has_no_more_context_than_the_model_was_trained_with(tmp_path: Path) -> None:
    """Why a longer max_model_len is an error: llama.cpp would take the memory and serve no more."""
    path = write_tiny_gguf(tmp_path / "short.gguf", context_length=512)
    args = {"ctx_size": 2048, "parallel": 1, "cache_ram": 0, "rope_scaling": "yarn"}
    with started(path, args, tmp_path) as engine, pytest.raises(urllib.error.HTTPError) as refused:
        complete(engine.port, [30] * 600)
    assert b"available context size (512 tokens)" in refused.value.read()
