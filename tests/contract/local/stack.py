"""Owns a small stack on the real local target for tests: wishes in, changes made as the executor would make them.

Ends everything it started. Knows nothing of plans or state.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from infctl.plan.diff import resolve
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Do,
    Health,
    Inventory,
    Known,
    Labels,
    Observed,
    Probe,
    Progress,
    Scope,
    TargetWant,
    Template,
)
from infctl_local.config import LocalTarget
from infctl_local.provider import LocalProvider

MODEL = Path("tiny.gguf")
LINEAGE = "3f0c"
READY_S = 60.0


# A model server in a few lines: answers /health with its environment, and streams for as long as it is asked to.
SERVER = """
import http.server, json, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(json.dumps({"env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd()}).encode())
    def do_POST(self):
        seconds = float(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["seconds"])
        self.send_response(200); self.end_headers()
        self.wfile.write(b"first "); self.wfile.flush(); time.sleep(seconds); self.wfile.write(b"last")
    def log_message(self, form, *args): print(form % args, flush=True)
print("serving with", sorted(name for name in os.environ if name.startswith("MY_")), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def template(model: Path = MODEL, **more: Any) -> Template:
    """Return what a replica of this GGUF file runs, small enough for any machine."""
    known: dict[str, Any] = {
        "engine": "llama.cpp",
        "engine_version": "",
        "model_uri": f"file:{model}",
        "model_sha256": "",
        "task": "generate",
        "args": {"ctx_size": 256, "parallel": 1, "threads": 1},
        "probe": Probe("completions", "/v1/completions", "tiny"),
        "memory": 50_000_000,
    }
    return Template(**{**known, **more})


def deployment(made: Template, revision: int = 1, **more: Any) -> Deployment:
    return Deployment(
        **{"model": "tiny", "slots": (0,), "served_names": ("tiny",), **more}, revision=revision, template=made
    )


def custom(*, revision: int = 1, env: dict[str, Any] | None = None, memory: int = 0, **more: Any) -> Deployment:
    """Return the wish for a replica of `serve.py`."""
    made = template(
        engine="custom", model_uri="", command=(sys.executable, "serve.py", "--port={port}"),
        args={}, env=env or {}, memory=memory, probe=Probe("http", "/health"),
    )  # fmt: skip
    return deployment(made, revision, **more)


class LocalStack:
    """One stack with one local target. Objects are known by address; a new revision gets a new id."""

    def __init__(self, root: Path, config: LocalTarget | None = None) -> None:
        self.context = Context("local", "test", "default", LINEAGE, root, root / ".infctl" / "data")
        self.provider = LocalProvider(config or LocalTarget(), self.context)
        self.seen: dict[str, Observed] = {}
        self.said: list[Progress] = []

    def lower(self, *wishes: Deployment) -> tuple[Desired, ...]:
        return self.provider.lower(TargetWant("local", wishes), Inventory())

    def change(self, do: Do, want: Desired, *, after: Mapping[str, Any] | None = None, **more: Any) -> Change:
        """Return the change that makes `want`, its references resolved by what stands now."""
        ident, name = ident_of(want), name_of(want)
        outputs = {thing.id: thing.outputs for thing in self.seen.values()}
        ids = {thing.address: thing.id for thing in self.seen.values()}
        labels = Labels(
            ident, LINEAGE, "test", "default", str(want.address), want.model, want.revision, want.spec_hash, 7
        )
        values = resolve(want.values if after is None else after, outputs, ids)
        takes = do in {Do.CREATE, Do.UPDATE, Do.SWITCH}
        return Change(do, want.address, "local", name, labels, values if takes else None, **more)

    def apply(self, change: Change) -> Observed | None:
        seen = self.provider.apply(change, self.said.append)
        if seen is not None:
            self.seen[str(seen.address)] = seen
        return seen

    def do(self, do: Do, want: Desired, **more: Any) -> Observed | None:
        return self.apply(self.change(do, want, **more))

    def make(self, *wants: Desired) -> None:
        for want in sorted(
            wants, key=lambda want: ["local_relay", "local_process", "local_route"].index(want.address.kind)
        ):
            self.do(Do.CREATE, want)

    def observe(self, *known: Known) -> tuple[Observed, ...]:
        reading = self.provider.observe(Scope(LINEAGE, "test", "default", known))
        assert not reading.unreadable
        return reading.value

    def wait_ready(self, want: Desired, timeout: float = READY_S) -> Health:
        """Probe until the replica is ready or dead."""
        what = self.seen[str(want.address)]
        deadline = monotonic() + timeout
        while True:
            health = self.provider.probe(what)
            if health.ready or health.dead or monotonic() >= deadline:
                return health
            sleep(0.05)

    def end(self) -> None:
        """Delete whatever stands: routes first, the relay last."""
        order = ["local_route", "local_process", "local_relay"]
        for thing in sorted(self.observe(), key=lambda seen: order.index(seen.address.kind)):
            assert thing.labels
            self.provider.apply(
                Change(Do.DELETE, thing.address, "local", thing.name, thing.labels, timeout=5.0), self.said.append
            )


def ident_of(want: Desired) -> str:
    return hashlib.sha256(f"{want.address} {want.revision}".encode()).hexdigest()[:12]


def name_of(want: Desired) -> str:
    address = want.address
    slot = address.key.replace("/", "-")
    return f"test-{address.kind[6:]}-{address.name}-{slot}-r{want.revision}"


def only(wants: tuple[Desired, ...], kind: str) -> Desired:
    (found,) = [want for want in wants if want.address.kind == kind]
    return found


@contextmanager
def stack_in(root: Path, config: LocalTarget | None = None) -> Iterator[LocalStack]:
    stack = LocalStack(root, config)
    try:
        yield stack
    finally:
        stack.end()
