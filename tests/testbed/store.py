"""Owns an S3 store (moto's server) that a bed's hosts can reach. It takes every signature for a good one."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Mapping

from tests.testbed.bed import Bed

BUCKET = "models"


class Store:
    """`env` is what whoever reads it has in the environment."""

    def __init__(self, bed: Bed, port: int = 5003) -> None:
        from moto.server import ThreadedMotoServer  # noqa: PLC0415  # takes seconds

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(bed.address, port, verbose=False)
        self._server.start()
        bed.closing.append(self._server.stop)
        self.url = f"http://{bed.address}:{port}"
        self.env = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIATESTBED",
            "AWS_SECRET_ACCESS_KEY": "sesame-of-the-store",
        }

    def put(self, files: Mapping[str, bytes]) -> None:
        """Hold these objects and no others, all in the bucket "models"."""
        self._ask("POST", "/moto-api/reset")
        self._ask("PUT", f"/{BUCKET}")
        for name, content in files.items():
            self._ask("PUT", f"/{BUCKET}/{name}", content)

    def _ask(self, method: str, path: str, data: bytes | None = None) -> None:
        headers = {
            # Moto reads this to tell S3 from other services, and would take a body of no type for a form.
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIATESTBED/20260101/us-east-1/s3/aws4_request",
            "Content-Type": "application/octet-stream",
        }
        asked = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        urllib.request.urlopen(asked, timeout=10).close()
