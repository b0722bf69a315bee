"""Owns a PostgreSQL server on this machine for tests of what a table keeps, of its own files on a port of its own.

Tests that use it carry `pytest.mark.xdist_group("postgres")`: one worker starts it once.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.needs import need
from tests.testbed.buckets import free_port
from tests.testbed.packages import postgres_program

USER, PASSWORD = "postgres", "sesame-of-the-table"
_numbers = itertools.count(1)


class Database(NamedTuple):
    """A database of its own. `url` has no password; `folder` is the server's, for `pg_ctl`."""

    url: str
    password: str
    folder: Path

    def crash(self) -> None:
        """End the server without a word and start it again: what it acknowledged has to be there."""
        _run("pg_ctl", "-D", str(self.folder), "-m", "immediate", "stop")
        _run("pg_ctl", "-D", str(self.folder), "-w", "-l", str(self.folder / "log"), "start")


def _run(program: str, *arguments: str) -> None:
    """PostgreSQL refuses to run as root."""
    user = USER if os.geteuid() == 0 else None
    subprocess.run(
        [postgres_program(program), *arguments], check=True, cwd="/", user=user, group=user,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="session")
def postgres() -> Iterator[Database]:
    need(bool(postgres_program("initdb")), "PostgreSQL's server (Debian's postgresql)")
    home = Path(tempfile.mkdtemp(prefix="infctl-postgres-"))  # pytest's own folders are closed to other users
    folder, port = home / "data", free_port()
    (home / "password").write_text(PASSWORD)
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        for path in (home, home / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    try:
        _run(
            "initdb", "-D", str(folder), "-A", "scram-sha-256", "-U", USER, f"--pwfile={home / 'password'}", "--no-sync"
        )
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
            settings.write("fsync = off\n")  # the server may crash here, the machine does not
        _run("pg_ctl", "-D", str(folder), "-w", "-l", str(folder / "log"), "start")
        try:
            yield Database(f"postgresql://{USER}@127.0.0.1:{port}/postgres", PASSWORD, folder)
        finally:
            _run("pg_ctl", "-D", str(folder), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture
def database(postgres: Database) -> Database:
    """A database that nobody has used."""
    import psycopg  # noqa: PLC0415  # only where it is asked for

    name = f"state_{next(_numbers)}"
    with psycopg.connect(postgres.url, password=postgres.password, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres._replace(url=postgres.url.removesuffix("postgres") + name)
