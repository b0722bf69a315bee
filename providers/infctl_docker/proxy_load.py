"""Owns making a configuration run: checked by HAProxy itself, put in place, loaded, and seen to run; else taken back.

The book of routes is written last, so that a run killed on the way is seen and finished by the next. Knows nothing of
containers: a `Box` is where one HAProxy runs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from infctl.provider.errors import ProviderError
from infctl.templating import shipped
from infctl_docker.listening import Listener
from infctl_docker.proxy_book import BOOK, CONFIG, HOLD, NEXT, PEM, Book, parse_book, write_book
from infctl_docker.proxy_config import digest, door_bind, render_config, said_digest, to_route
from infctl_docker.proxy_runtime import loaded_digest

LOAD_S = 15.0  # a reload takes some 0.2 s; one that meets a taken port gives up after about 1 s
POLL_S = 0.1
UNRESOLVED = "give that host of the target an `address` by which the other hosts know it"


class Box(Protocol):
    """Where one HAProxy runs: a folder of files of its own, and a master socket. All raise ProviderError."""

    folder: str

    def read(self) -> Mapping[str, bytes]: ...
    def write(self, files: Mapping[str, bytes]) -> None: ...
    def check(self, name: str) -> str:
        """Return what HAProxy says against the configuration in this file, "" for nothing."""
        ...

    def reload(self) -> None: ...
    def said(self) -> str:
        """Return the last lines that HAProxy wrote."""
        ...

    def listeners(self) -> frozenset[Listener]: ...
    def ask(self, command: str) -> str: ...


def first_files(folder: str, pem: bytes) -> dict[str, bytes]:
    """Return the files that a proxy without routes starts with."""
    config = render_config((), folder=folder, door="").encode()
    return {
        CONFIG: config,
        BOOK: write_book(Book(config=digest(config))),
        PEM: pem,
        HOLD: hold_script(),
    }


def hold_script() -> bytes:
    """Return the Lua that lets requests wait."""
    return (shipped("templates") / "haproxy" / HOLD).read_bytes()


class Loader:
    """Reads and loads what one HAProxy runs. One at a time."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def is_loaded(self) -> bool:
        """Return whether the configuration in place is what runs."""
        return self._runs(said_digest(self._box.read()[CONFIG].decode()))

    def read(self) -> tuple[Book, bytes]:
        """Return the book, and the configuration in place."""
        files = self._box.read()
        with suppress(ValueError, KeyError):
            return parse_book(files[BOOK]), files.get(CONFIG, b"")
        return Book(), files.get(CONFIG, b"")  # lost or broken by hand: every route is then asked for again

    def load(self, book: Book, before: bytes) -> None:
        """Make the book's configuration run, then write the book. Raises ProviderError with HAProxy's words."""
        routes = (to_route(ident, kept.values, kept.outputs["port"]) for ident, kept in book.routes.items())
        config = render_config(routes, folder=self._box.folder, door=door_bind(book.door)).encode()
        wanted = said_digest(config.decode())
        if config != before or not self._runs(wanted):
            self._box.write({NEXT: config, HOLD: hold_script()})
            if words := self._box.check(NEXT):
                hint = UNRESOLVED if "could not resolve" in words else "nothing changed"
                raise ProviderError("HAProxy refuses the configuration of the routes", words, hint=hint)
            self._box.write({CONFIG: config})
            self._box.reload()
            if not self._loads(wanted):
                self._go_back(before)
        self._box.write({BOOK: write_book(replace(book, config=digest(config)))})

    def _go_back(self, before: bytes) -> None:
        """Put the old configuration back after a reload that did not come about, and say what HAProxy said."""
        said = self._box.said()
        words = "\n".join(re.findall(r"^\[ALERT\].*$", said, re.MULTILINE)[-3:] or said.splitlines()[-5:])
        self._box.write({CONFIG: before})
        self._box.reload()
        back = self._loads(said_digest(before.decode()))
        hint = "the routes are as before" if back else "the next apply loads the routes again"
        if "Permission denied" in words:
            hint = "ports below 1024 need `sysctl net.ipv4.ip_unprivileged_port_start=0` on the host, or take a higher"
        raise ProviderError("HAProxy did not take up the routes", words, hint=hint)

    def _loads(self, wanted: str) -> bool:
        deadline = time.monotonic() + LOAD_S
        while not self._runs(wanted):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _runs(self, wanted: str) -> bool:
        try:
            return loaded_digest(self._box.ask) == wanted
        except ProviderError:
            return False  # the master starts itself anew at each reload, and answers nobody meanwhile
