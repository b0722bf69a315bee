"""Owns what answers for pods that KWOK plays: an engine's stand-in at every one of their addresses, told what to say.

Run as a program it is that stand-in, of the standard library only: one process, in a network namespace to which all
addresses of played pods belong.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORTS = (8000, 8080, 30000)  # where vLLM, llama.cpp and SGLang listen
INDEX = 241  # the last number of its address on the bed
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Answers:
    """Every pod answers "yes" to everything, until told else."""

    def __init__(self, bed: Any) -> None:
        from tests.testbed.bed import run  # noqa: PLC0415  # the stand-in runs without the project
        from tests.testbed.cable import Cable  # noqa: PLC0415
        from tests.testbed.leash import Leashed  # noqa: PLC0415

        network = f"10.79.{bed.number}.0/24"
        self._folder = bed.folder / "answers"
        self._folder.mkdir()
        start = f'echo; read -r _; ip route add local {network} dev lo; exec "$@"'
        argv = ["sh", "-c", start, "sh", sys.executable, "-I", __file__, str(self._folder)]
        self._process = Leashed(argv, log=bed.folder / "answers.log", namespaces=["--net"])
        self._process.hear()
        self._cable = Cable(bed, INDEX)
        self._cable.plug(self._process.pid)
        self._process.tell("go")
        assert self._process.hear() == "ready", (bed.folder / "answers.log").read_text()
        run("ip", "route", "replace", network, "via", f"{bed.network}.{INDEX}")
        bed.closing.append(self.close)

    def say(self, pod: str = "all", *, status: int = 200, metrics: str = "") -> None:
        """Let a pod, by its address, answer completions and /health with a status, and /metrics with a text."""
        unready = self._folder / ".unready"
        unready.write_text(json.dumps({"status": status, "metrics": metrics}))
        unready.rename(self._folder / pod)

    def well(self) -> None:
        """Forget all that it was told."""
        for file in self._folder.iterdir():
            file.unlink()

    def close(self) -> None:
        self._process.kill()
        self._cable.unplug()


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _told(self) -> dict[str, Any]:
        for name in (str(self.connection.getsockname()[0]), "all"):
            if (self.folder / name).exists():
                found: dict[str, Any] = json.loads((self.folder / name).read_text())
                return found
        return {"status": 200, "metrics": ""}

    def do_GET(self) -> None:
        told = self._told()
        if self.path == "/metrics":
            self._send(200, told["metrics"].encode(), "text/plain; version=0.0.4")
        elif self.path == "/v1/models":
            self._send(200, json.dumps({"object": "list", "data": []}).encode())
        else:
            self._send(told["status"], b"{}")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        status = self._told()["status"]
        if status != 200:
            self._send(status, json.dumps({"error": {"message": "told to fail"}}).encode())
        elif self.path == "/v1/embeddings":
            self._send(200, json.dumps({"data": [{"index": 0, "embedding": [0.6, 0.8]}], "usage": USAGE}).encode())
        else:
            choice = {"index": 0, "text": "yes", "finish_reason": "stop"}
            choice |= {"delta" if asked.get("stream") else "message": {"role": "assistant", "content": "yes"}}
            body = json.dumps({"model": asked.get("model", ""), "choices": [choice], "usage": USAGE})
            if asked.get("stream"):
                self._send(200, f"data: {body}\n\ndata: [DONE]\n\n".encode(), "text/event-stream")
            else:
                self._send(200, body.encode())

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(folder: str) -> None:
    Engine.folder = Path(folder)
    for port in PORTS:
        served = ThreadingHTTPServer(("0.0.0.0", port), Engine)  # noqa: S104  # of its own network namespace
        threading.Thread(target=served.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()  # until the owner is gone


if __name__ == "__main__":
    main(sys.argv[1])
