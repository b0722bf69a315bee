"""An engine that is ready only when it was given its secrets: their SHA-256 are in its plain environment.

With MODE=babbler it prints them and dies. Run as a command of a custom engine; plain stdlib.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


def given(name: str) -> str:
    """Return the secret as it was delivered: as a file that only its owner can read, or as a variable."""
    if f"{name}_FILE" not in os.environ:
        return os.environ[name]
    path = Path(os.environ[f"{name}_FILE"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text()


if __name__ == "__main__":
    names = [name.removesuffix("_SHA256") for name in os.environ if name.endswith("_SHA256")]
    for name in names:
        if os.environ["MODE"] == "babbler":
            print(f"cannot log in with {given(name)}", flush=True)
        assert hashlib.sha256(given(name).encode()).hexdigest() == os.environ[f"{name}_SHA256"], name
    if os.environ["MODE"] == "babbler" or not names:
        sys.exit(78)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
