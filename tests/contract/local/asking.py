"""Owns what tests ask of what runs here: requests, process ids, signals. Knows no test."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil

from infctl.provider.values import Desired
from infctl_local.record import STATUS
from tests.contract.local.stack import LocalStack, ident_of, name_of


def answer(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=30) as reply:
        return json.loads(reply.read())


def stream(url: str, body: dict[str, Any]) -> Iterator[str]:
    data = json.dumps({**body, "stream": True}).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=30) as reply:
        for line in reply:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])["choices"][0]["text"]


def run_dir(stack: LocalStack, want: Desired) -> Path:
    return stack.context.data / "run" / f"{name_of(want)}.{ident_of(want)}"


def pids(stack: LocalStack, want: Desired) -> dict[str, int]:
    """Return the pids of an object's supervisor and child, once both are there."""
    deadline = monotonic() + 10
    while True:
        status = json.loads((run_dir(stack, want) / STATUS).read_text("utf-8"))
        if status["child"]:
            return {who: status[who]["pid"] for who in ("supervisor", "child")}
        assert monotonic() < deadline
        sleep(0.01)


def kill(pid: int) -> None:
    """SIGKILL, and wait until it is gone: reaped by whoever owns it now."""
    os.kill(pid, signal.SIGKILL)
    deadline = monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert monotonic() < deadline
        sleep(0.01)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of every process that has this folder in it."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line:
            found.append(line)
    return found


def begin_stream(stack: LocalStack, route: Desired, *, seconds: float) -> tuple[list[bytes], threading.Thread]:
    """Start a request that streams for so long; returns what it got so far, and its thread."""
    got: list[bytes] = []
    begun = threading.Event()
    split = urlsplit(stack.seen[str(route.address)].outputs["url"])

    def ask() -> None:
        connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=30)
        connection.request("POST", "/slow", json.dumps({"seconds": seconds}), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        try:
            while piece := reply.read1():
                got.append(piece)
                begun.set()
        except (OSError, http.client.HTTPException):
            got.append(b"cut")
        finally:
            connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(10)
    return got, thread
