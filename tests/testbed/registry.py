"""Owns a real registry (Debian's docker-registry) that hosts of a bed pull from, and how images get into it.

Images are pushed by HTTP from here, so their digests are known before any host is up. Speaks the registry API v2
(OCI Distribution Specification 1.0) as far as a push needs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import time
import urllib.error
import urllib.request

from tests.testbed import images
from tests.testbed.bed import Bed
from tests.testbed.leash import Leashed, leashed_daemon

CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Listens on the bed's address; with `login` (user, password) it asks for it. Hosts need no certificate for it."""

    def __init__(self, bed: Bed, port: int = 5000, login: tuple[str, str] | None = None) -> None:
        self.address = f"{bed.address}:{port}"
        self._login = login
        self._folder = bed.folder / f"registry-{port}"
        self._folder.mkdir()
        self._daemon: Leashed | None = None
        (self._folder / "config.json").write_text(json.dumps(self._config()))
        bed.closing.append(self.stop)
        self.start()

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if self._login:
            known = self._folder / "htpasswd"
            known.write_text(f"{self._login[0]}:{_bcrypt(self._login[1])}\n")
            config["auth"] = {"htpasswd": {"realm": "test bed", "path": str(known)}}
        return config

    def start(self) -> None:
        argv = ["docker-registry", "serve", str(self._folder / "config.json")]
        self._daemon = leashed_daemon(argv, log=self._folder / "log")
        until = time.monotonic() + 10
        while True:
            try:
                self._ask("GET", "/v2/")
            except urllib.error.URLError:
                assert time.monotonic() < until, (self._folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it: who pulls is refused the connection."""
        if self._daemon:
            self._daemon.kill()
            self._daemon = None

    def push(self, name: str, tag: str = "") -> str:
        """Push an image of images.IMAGES as `tag` ("library/busybox:1"; its own name if ""); returns name@digest."""
        repository, version = (tag or name).rsplit(":", 1)
        config, layer = images.blobs(name)
        packed = gzip.compress(layer, compresslevel=1, mtime=0)
        for blob in (config, packed):
            self._put_blob(repository, blob)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": LAYER, "size": len(packed), "digest": _digest(packed)}],
        }
        body = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{version}", body, MANIFEST)
        return f"{self.address}/{repository}@{_digest(body)}"

    def _put_blob(self, repository: str, blob: bytes) -> None:
        there = f"/v2/{repository}/blobs/{_digest(blob)}"
        try:
            self._ask("HEAD", there)
        except urllib.error.HTTPError:
            where = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
            self._ask("PUT", f"{where}&digest={_digest(blob)}", blob, "application/octet-stream")

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> str:
        """Return the Location of the answer; raises urllib.error.URLError."""
        url = path if path.startswith("http") else f"http://{self.address}{path}"
        headers = {"Content-Type": kind} if kind else {}
        if self._login:
            headers["Authorization"] = f"Basic {base64.b64encode(':'.join(self._login).encode()).decode()}"
        asked = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return str(answer.headers.get("Location", ""))

    def forget(self) -> None:
        """Remove every image."""
        shutil.rmtree(self._folder / "data", ignore_errors=True)


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _bcrypt(password: str) -> str:
    import bcrypt  # noqa: PLC0415  # paramiko brings it; only the registry with a login needs it

    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()
