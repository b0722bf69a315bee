"""A relay of a test, and routes for it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from infctl_local.process import Spec, free_port, spawn
from infctl_local.relay_client import RelayClient
from infctl_local.routes import Backend, Route


def run_relay(run_dir: Path) -> RelayClient:
    spawn(run_dir, Spec((sys.executable, "-P", "-m", "infctl_local.relay", str(run_dir)), grace_s=5))
    client = RelayClient(run_dir)
    client.wait_ready(20)
    return client


def route_to(*backends: Backend, hold_s: float = 5.0, **fields: Any) -> Route:
    route = Route("chat", "127.0.0.1", free_port("127.0.0.1"), ("chat", "gpt"), backends, hold_s=hold_s)
    return replace(route, **fields)


def dead_backend(name: str) -> Backend:
    return Backend(name, f"http://127.0.0.1:{free_port('127.0.0.1')}")
