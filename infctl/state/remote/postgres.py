"""Owns a table of PostgreSQL as a shared place: a row for the head and one for each part.

Every write names the epoch of the row that it replaces; each write takes a new one from the table's sequence, so that
an epoch never comes again, whatever was deleted. An advisory lock would say who may write, but stop nobody who comes
late: the epoch does. Imports psycopg when it is made.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infctl.diagnostics import InfctlError
from infctl.secrets import Secret
from infctl.state.remote.place import Version, absent, forbidden, missing_extra, unreadable, unwritable
from infctl.state.store import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from infctl.spec.backends import PostgresState

Failed = Callable[[str, str], InfctlError]
# Seconds for a connection, milliseconds for a statement: several tries have to end within half a lease. A commit
# counts once it is on the disk, whatever the server's default is.
_LIMITS = "-c statement_timeout=15000 -c lock_timeout=10000 -c synchronous_commit=on"
_CONNECT: Mapping[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "application_name": "infctl",
    "options": _LIMITS,
}
_REFUSED = ("password", "pg_hba.conf", "permission denied", "SSL", "role ")
_CREDENTIALS = "correct the user in state.url, and what state.password, PGPASSWORD or PGPASSFILE give"


class PostgresPlace:
    """The state of one workspace in a table. One connection, made when it is needed and again when it is lost."""

    holds_parts = True

    def __init__(self, url: str, password: Secret, table: str, key: str, workspace: str) -> None:
        import psycopg  # noqa: PLC0415  -- only a state in PostgreSQL needs it
        from psycopg import sql  # noqa: PLC0415

        self._pg, self._url, self._password = psycopg, url, password
        self._base = key
        self._key = key if workspace == DEFAULT_WORKSPACE else f"{key}.workspaces/{workspace}"
        address = urlsplit(url)
        host = address.netloc.rpartition("@")[2]
        self.location = f"postgresql://{host}{address.path}/{self._key}"
        names = {"table": sql.Identifier(*table.split("."))}
        self._texts: Mapping[str, Any] = {name: sql.SQL(text).format(**names) for name, text in _STATEMENTS.items()}
        self._connection: Any = None

    def read(self) -> Version | None:
        rows = self._ask(unreadable, "read", self._key)
        return Version(bytes(rows[0][1]), str(rows[0][0])) if rows else None

    def write(self, text: bytes, seen: str) -> str:
        if seen:
            rows = self._ask(unwritable, "replace", text, self._key, int(seen))
        else:
            rows = self._ask(unwritable, "create", self._key, text)
        return str(rows[0][0]) if rows else ""

    def erase(self, seen: str) -> bool:
        return bool(self._ask(unwritable, "erase", self._key, int(seen)))

    def put(self, name: str, data: bytes) -> None:
        self._ask(unwritable, "put", f"{self._key}.{name}", data)

    def get(self, name: str) -> bytes | None:
        rows = self._ask(unreadable, "read", f"{self._key}.{name}")
        return bytes(rows[0][1]) if rows else None

    def drop(self, name: str) -> None:
        self._ask(unwritable, "drop", f"{self._key}.{name}")

    def names(self) -> tuple[str, ...]:
        start = len(self._key) + 1
        folders = (f"{self._key}.history/", f"{self._key}.journal/")
        return tuple(row[0][start:] for folder in folders for row in self._ask(unreadable, "list", folder))

    def workspaces(self) -> tuple[str, ...]:
        prefix = f"{self._base}.workspaces/"
        found = (row[0].removeprefix(prefix) for row in self._ask(unreadable, "list", prefix))
        return tuple(name for name in found if "." not in name)  # those with one are parts

    def enter(self, ident: str, dead: str) -> bool:  # noqa: ARG002  -- the epoch is the lock
        return True

    def leave(self) -> None:
        """The epoch is the lock."""

    # ---------------------------------------------------------------- statements

    def _ask(self, failed: Failed, name: str, *values: object) -> Sequence[Any]:
        """Return the rows of a statement. A table that is not there has none, until something is written."""
        errors = self._pg.errors
        try:
            return self._run(name, values)
        except errors.UndefinedTable:
            if failed is unreadable or name in {"erase", "drop"}:
                return ()
        except self._pg.Error as failure:
            raise self._problem(failure, failed) from failure
        try:
            self._make_table()
            return self._run(name, values)
        except self._pg.Error as failure:
            raise self._problem(failure, failed) from failure

    def _run(self, name: str, values: Sequence[object]) -> Sequence[Any]:
        if self._connection is None or self._connection.closed:
            password = self._password.reveal() or None
            self._connection = self._pg.connect(self._url, password=password, autocommit=True, **_CONNECT)
            weakref.finalize(self, self._connection.close)
        found = self._connection.execute(self._texts[name], values, prepare=False)
        return tuple(found.fetchall()) if found.description else ()

    def _make_table(self) -> None:
        errors = self._pg.errors
        try:
            self._run("make", ())
        except (errors.UniqueViolation, errors.DuplicateTable):  # another run made it at the same moment
            return

    def _problem(self, failure: Any, failed: Failed) -> InfctlError:
        said = " ".join(str(failure).split()) or type(failure).__name__
        if isinstance(failure, self._pg.errors.InsufficientPrivilege) or any(word in said for word in _REFUSED):
            return forbidden(self.location, said, _CREDENTIALS)
        if "does not exist" in said:
            return absent(self.location, said)
        return failed(self.location, said)


_STATEMENTS = {
    "make": (
        "CREATE TABLE IF NOT EXISTS {table}"
        " (key text PRIMARY KEY, epoch bigint GENERATED ALWAYS AS IDENTITY, body bytea NOT NULL)"
    ),
    "read": "SELECT epoch, body FROM {table} WHERE key = %s",
    "create": "INSERT INTO {table} (key, body) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING RETURNING epoch",
    "replace": "UPDATE {table} SET body = %s, epoch = DEFAULT WHERE key = %s AND epoch = %s RETURNING epoch",
    "erase": "DELETE FROM {table} WHERE key = %s AND epoch = %s RETURNING epoch",
    "put": (
        "INSERT INTO {table} (key, body) VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body, epoch = DEFAULT"
    ),
    "drop": "DELETE FROM {table} WHERE key = %s",
    "list": "SELECT key FROM {table} WHERE starts_with(key, %s)",
}


def open_postgres(state: PostgresState, workspace: str, password: Secret) -> PostgresPlace:
    """Return the place that `state` describes; it is connected to when it is needed.

    Raises InfctlError (extra-missing).
    """
    try:
        return PostgresPlace(state.url, password, state.table, state.key, workspace)
    except ImportError as failure:
        raise missing_extra("PostgreSQL", "psycopg", "postgres") from failure
