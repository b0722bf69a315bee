"""Owns S3 servers on this machine for tests of what a bucket keeps: moto's and versitygw, processes of their own.

Tests that use them carry `pytest.mark.xdist_group("buckets")`: one worker starts each once.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.needs import need
from tests.testbed import versitygw

PATIENCE = 60.0  # seconds; a busy machine
_numbers = itertools.count(1)


class S3Server(NamedTuple):
    """`env` is what whoever uses it has in the environment."""

    url: str
    env: Mapping[str, str]

    def client(self) -> Any:
        from infctl.state.remote import aws  # noqa: PLC0415  # boto3 takes its time

        with environment(self.env):
            return aws.client_of("s3", "us-east-1", None, self.url, path_style=True)


class Bucket(NamedTuple):
    server: S3Server
    name: str


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def serving(argv: Sequence[str], url: str, log: Path, env: Mapping[str, str]) -> Iterator[int]:
    """Run a server until it is left, and give its pid; it has to answer HTTP, whatever it answers."""
    with log.open("wb") as said:
        process = subprocess.Popen(argv, env={**os.environ, **env}, stdout=said, stderr=said)
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"AWS_ACCESS_KEY_ID": "AKIATESTBED", "AWS_SECRET_ACCESS_KEY": "sesame-of-the-bucket"}
    argv = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with serving(argv, url, tmp_path_factory.mktemp("moto") / "log", env):
        yield S3Server(url, {**env, "AWS_DEFAULT_REGION": "us-east-1"})


clients: dict[tuple[int, str], Any] = {}  # by process: one that was forked needs connections of its own


def client_of(server: S3Server) -> Any:
    found = clients.get((os.getpid(), server.url))
    if found is None:
        found = clients[os.getpid(), server.url] = server.client()
    return found


@pytest.fixture(scope="session")
def versity_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, with exact conditional writes."""
    program = versitygw.built()
    need(program is not None, "versitygw (scripts/test.py builds it with Go)")
    home, port = tmp_path_factory.mktemp("versity"), free_port()
    (home / "buckets").mkdir()
    url = f"http://127.0.0.1:{port}"
    argv = [str(program), "--port", f"127.0.0.1:{port}", "posix", str(home / "buckets")]
    root = {"ROOT_ACCESS_KEY": "AKIAVERSITY", "ROOT_SECRET_KEY": "sesame-of-versity"}
    env = {"AWS_ACCESS_KEY_ID": root["ROOT_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": root["ROOT_SECRET_KEY"]}
    with serving(argv, url, home / "log", root):
        yield S3Server(url, {**env, "AWS_DEFAULT_REGION": "us-east-1"})


@pytest.fixture
def versity_bucket(versity_s3: S3Server) -> Bucket:
    """A bucket that nobody has used, on the real server."""
    return make_bucket(versity_s3)


@pytest.fixture(params=["moto", "versitygw"])
def any_bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket that nobody has used, on each server in turn."""
    return make_bucket(request.getfixturevalue({"moto": "moto_s3", "versitygw": "versity_s3"}[request.param]))


def make_bucket(server: S3Server) -> Bucket:
    name = f"state-{next(_numbers)}"
    client_of(server).create_bucket(Bucket=name)
    return Bucket(server, name)


@pytest.fixture
def bucket(moto_s3: S3Server) -> Bucket:
    """A bucket that nobody has used."""
    return make_bucket(moto_s3)
