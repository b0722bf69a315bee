"""Owns a real HAProxy as a process of the test, and servers behind it that say who they are."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infctl.address import Address
from infctl.provider.values import Change, Do, Labels, Progress
from infctl_docker.door_key import door_pem
from infctl_docker.errors import HostDown
from infctl_docker.listening import Listener, parse_listeners
from infctl_docker.proxy import HostProxy, Line
from infctl_docker.proxy_load import first_files

KEY = b"k" * 32
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class Box:
    """One HAProxy in a folder of its own, as `infctl_docker.proxy.Box` wants it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = str(folder)
        self.admin = free_port()
        self.reloads = 0
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, key: bytes = KEY) -> None:
        self.write(first_files(self.folder, door_pem(key, "rack")))
        argv = ("haproxy", "-W", "-db", "-S", f"127.0.0.1:{self.admin},level,user", "-f", f"{self.folder}/haproxy.cfg")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def read(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in Path(self.folder).iterdir()}

    def write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            Path(self.folder, name).write_bytes(data)

    def check(self, name: str) -> str:
        argv = ("haproxy", "-c", "-f", f"{self.folder}/{name}")
        ran = subprocess.run(argv, check=False, capture_output=True, text=True)
        return ran.stderr if ran.returncode else ""

    def reload(self) -> None:
        self.reloads += 1
        assert self._process
        self._process.send_signal(signal.SIGUSR2)

    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def listeners(self) -> frozenset[Listener]:
        return parse_listeners("".join(table.read_text() for table in TABLES if table.exists()))

    def ask(self, command: str) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.admin), timeout=5) as stream:
                stream.sendall(f"{command}\nquit\n".encode())
                return b"".join(iter(lambda: stream.recv(65_536), b"")).decode()
        except OSError as failure:
            raise HostDown("here", str(failure)) from failure


@dataclass
class Site:
    """A host of a rack: its proxy, and how to change it."""

    name: str
    box: Box
    proxy: HostProxy
    address: str = "127.0.0.1"
    door: str = ""

    def route(self, *endpoints: str, doors: Mapping[str, str] | None = None, model: str = "chat", **more: Any) -> int:
        """Make the model's address lead to these replicas; return its port."""
        after = {
            "host": self.name, "model": model, "bind": "127.0.0.1", "port": 0, "served_names": ("chat",),
            "backends": endpoints, "proxy": "c", "doors": doors or {}, "health": "/health", "hold": 30, **more,
        }  # fmt: skip
        return int(self.proxy.put_route(change(self.name, after, model), after, self.address).outputs["port"])


def change(host: str, after: Mapping[str, Any], model: str = "chat") -> Change:
    address = Address("docker_route", model, f"rack/{host}")
    labels = Labels(f"{model}{host}", "l1", "s", "default", str(address), model, 1, "", 1)
    return Change(Do.UPDATE, address, "rack", f"route-{host}", labels, after)


@contextmanager
def site(folder: Path, name: str = "h1", *, door: bool = False, key: bytes = KEY) -> Iterator[Site]:
    box = Box(folder / name)
    box.start(key)
    proxy = HostProxy(box, (20_000, 29_999), Line())
    try:
        wait(proxy.is_loaded)
        book = proxy.settle({"address": "127.0.0.1", "door": door}, box.folder)
        yield Site(name, box, proxy, door=book.door)
    finally:
        box.stop()


@dataclass
class Replica:
    """A server that says its name. `ready` False: its health check fails, and it says 503 to the rest."""

    name: str
    host: str = "h1"
    port: int = 0
    ready: bool = True
    asked: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    _server: ThreadingHTTPServer | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> Replica:
        replica = self

        class Handler(_Handler):
            me = replica

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """End it as a killed process ends: the port is closed, and so is every connection."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    me: Replica
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200 if self.me.ready else 503, b"ok")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        self.me.asked += 1
        self.me.headers = {name.lower(): value for name, value in self.headers.items()}
        if not self.me.ready:
            self._say(503, b"loading")
        elif asked.get("stream"):
            self._stream(asked["stream"], asked.get("pause", 0.05))
        else:
            time.sleep(asked.get("sleep", 0))
            self._say(200, json.dumps({"by": self.me.name, "got": len(body)}).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, chunks: int, pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for word in (*(f"data: {number}\n\n" for number in range(chunks)), "data: [DONE]\n\n"):
            self.wfile.write(f"{len(word):x}\r\n{word}\r\n".encode())
            self.wfile.flush()
            time.sleep(pause)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def ask(port: int, timeout: float = 60, **asked: Any) -> tuple[int, str]:
    """Return status and text of one request to a model's address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("POST", "/v1/completions", json.dumps(asked), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def who(port: int) -> str:
    status, text = ask(port)
    return str(json.loads(text)["by"]) if status == http.client.OK else f"{status} {text}"


def wait(until: Any, seconds: float = 10.0) -> float:
    """Return after how many seconds it came true."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < seconds, "it never came true"
        time.sleep(0.02)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def silent(progress: Progress) -> None:
    del progress
