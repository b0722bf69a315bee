"""Owns a real Prometheus (Debian's) at the bed's address, which scrapes whom it is told to every second."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from typing import Any

from tests.testbed.bed import Bed
from tests.testbed.leash import Leashed, leashed_daemon

PORT = 9090
CONFIG = """global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: bed
  file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]
"""


class Prometheus:
    def __init__(self, bed: Bed) -> None:
        self.url = f"http://{bed.address}:{PORT}"
        self._folder = bed.folder / "prometheus"
        self._folder.mkdir()
        self._targets = self._folder / "targets.json"
        self._daemon: Leashed | None = None
        (self._folder / "prometheus.yml").write_text(CONFIG.format(targets=self._targets))
        self.scrape({})
        bed.closing.append(self.stop)
        self.start()

    def start(self) -> None:
        argv = [
            "prometheus", f"--config.file={self._folder}/prometheus.yml", f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--log.level=warn",
        ]  # fmt: skip
        self._daemon = leashed_daemon(argv, log=self._folder / "log")
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).close()
            except OSError:
                assert time.monotonic() < until, (self._folder / "log").read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self._daemon:
            self._daemon.kill()
            self._daemon = None

    def scrape(self, targets: dict[str, dict[str, str]]) -> None:
        """Scrape these alone from now on: "HOST:PORT", or "HOST:PORT/PATH", to labels of its series."""
        told = []
        for target, labels in targets.items():
            address, slash, path = target.partition("/")
            told.append({"targets": [address], "labels": {"__metrics_path__": slash + path or "/metrics", **labels}})
        unready = self._targets.with_suffix(".unready")
        unready.write_text(json.dumps(told))
        unready.rename(self._targets)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query: [{"metric": {...}, "value": [time, "1"]}]."""
        asked = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(asked, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found
