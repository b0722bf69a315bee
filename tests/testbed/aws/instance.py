"""An instance of an auto scaling group: its user data carried out in a folder, its services run as systemd would.

What is run are the rendered scripts themselves; `bin/` has stand-ins for what this machine lacks.
"""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

BIN = Path(__file__).parent / "bin"
STARTS = 3  # StartLimitBurst of the engine's unit


class Metadata(ThreadingHTTPServer):
    """An instance's metadata service, which wants a token (IMDSv2)."""

    def __init__(self, said: dict[str, str]) -> None:
        self.said = said
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        self._say(200, "token")

    def do_GET(self) -> None:
        found = self.server.said.get(self.path.removeprefix("/latest/meta-data/"))
        trusted = self.headers.get("X-aws-ec2-metadata-token") == "token"
        self._say(401 if not trusted else 404 if found is None else 200, found or "")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  -- the library's name
        """Say nothing."""


class Instance:
    """One instance below `root`. `boot` lays its files out, `start` and `ready` are its services."""

    def __init__(self, root: Path, ident: str, user_data: str, env: Mapping[str, str]) -> None:
        self.root, self.config = root, yaml.safe_load(gzip.decompress(base64.b64decode(user_data)))
        self.metadata = Metadata({"instance-id": ident})
        self._env = {
            **os.environ, **env, "PATH": f"{BIN}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "INFCTL_ROOT": str(root), "INFCTL_METADATA": self.metadata.url, "INFCTL_PAUSE": "0.2",
        }  # fmt: skip
        self._engine: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        for file in self.config["write_files"]:
            path = self.root / file["path"].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file["content"])
            path.chmod(int(file["permissions"], 8))
        (self.root / "failed").mkdir()
        (self.root / "journal").touch()
        threading.Thread(target=self._keep_engine, daemon=True).start()

    def _keep_engine(self) -> None:
        """Start the engine's service again as often as its unit says, then call it failed."""
        for _ in range(STARTS):
            with (self.root / "journal").open("a") as journal:
                self._engine = subprocess.Popen(self._script("start"), env=self._env, stdout=journal, stderr=journal)
            if self._engine.wait() in {0, -15}:
                return
        (self.root / "failed" / "infctl-engine.service").touch()

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service that ends by itself."""
        return subprocess.run(
            self._script(name), env=self._env, capture_output=True, text=True, check=False, timeout=90
        )

    def begin(self, name: str) -> subprocess.Popen[bytes]:
        """Start a service that runs on; whoever asked for it ends it."""
        return subprocess.Popen(self._script(name), env=self._env)

    def _script(self, name: str) -> list[str]:
        return [str(self.root / "opt/infctl" / name)]

    def close(self) -> None:
        if self._engine is not None and self._engine.poll() is None:
            self._engine.terminate()
            self._engine.wait()
        self.metadata.shutdown()
        self.metadata.server_close()
