"""An engine that is not ready before somebody says so: it listens once the file `go` is in its folder.

Run as a command of a custom engine, `python slow_engine.py`; plain stdlib.
"""

from __future__ import annotations

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


if __name__ == "__main__":
    print("waiting to be let go", flush=True)
    while not Path("go").exists():
        time.sleep(0.02)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
