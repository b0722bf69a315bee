"""Owns changing what a host's running HAProxy does: its routes, its door, and waiting until a replica serves nobody.

A change is: render all routes, have HAProxy itself check the text, put it in place, reload, and see the new worker
say the new digest; only then is it written into the book. What fails leaves the old worker and the old files. Knows
nothing of containers: a `Box` is where one HAProxy runs.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Labels, Progress, Values
from infctl.templating import shipped
from infctl_docker.listening import Listener
from infctl_docker.proxy_book import BOOK, CONFIG, HOLD, NEXT, PEM, Book, Kept, parse_book, write_book
from infctl_docker.proxy_config import (
    WILDCARDS,
    digest,
    door_bind,
    join,
    numeric,
    render_config,
    said_digest,
    server_name,
    to_route,
)
from infctl_docker.proxy_ports import Free, Range
from infctl_docker.proxy_runtime import count_sessions, is_settled, loaded_digest

LOAD_S = 15.0  # a reload takes some 0.2 s; one that meets a taken port gives up after about 1 s
CLOSE_S = 2.0  # until an old worker has closed what the new one no longer has
POLL_S = 0.1
WORD_S = 1.0  # between two words about a drain


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
        HOLD: (shipped("templates") / "haproxy" / HOLD).read_bytes(),
    }


class HostProxy:
    """The proxy of one host. `alone` is held while its files change, so that no route overwrites another."""

    def __init__(self, box: Box, ports: Range, alone: threading.Lock) -> None:
        self._box = box
        self._ports = ports
        self._alone = alone

    def is_loaded(self) -> bool:
        """Return whether the configuration in place is what runs."""
        return self._runs(said_digest(self._box.read()[CONFIG].decode()))

    def settle(self, values: Values, seed: str) -> Book:
        """Make the configuration what the book says, with a door where `values` ask for one."""
        with self._alone:
            book, config = self._read()
            door = self._door(book, values["address"], seed) if values["door"] else ""
            book = replace(book, door=door, proxy=values)
            self._load(book, config)
            return book

    def put_route(self, change: Change, after: Values, address: str) -> Kept:
        """Make the model's address on this host lead to these replicas. `address` is the host's own."""
        with self._alone:
            book, config = self._read()
            old = book.routes.get(change.id)
            port = self._port(book, change, after)
            outputs = {"url": _url(after["bind"], port, address), "port": port, "host": after["host"]}
            labels = old.labels if old else change.labels
            kept = Kept(change.name, change.target, labels, after, outputs)
            self._load(book.with_route(kept), config)
            return kept

    def drop_route(self, ident: str) -> None:
        """Close the address. Safe to repeat; open requests finish."""
        with self._alone:
            book, config = self._read()
            if ident in book.routes:
                self._load(book.without(ident), config)

    def drain(self, endpoint: str, timeout_s: float, emit: Emit) -> None:
        """Wait until no worker has a request at the replica of this host; what is left after `timeout_s` is cut."""
        name = server_name(endpoint)
        deadline = time.monotonic() + timeout_s
        said_at, most, quiet = 0.0, 0, 0
        while quiet < 2:  # noqa: PLR2004  # twice, for a request may be between two servers
            busy = count_sessions(self._box.ask, name)
            quiet = quiet + 1 if not busy and is_settled(self._box.ask) else 0
            now, most = time.monotonic(), max(most, busy)
            if busy and now >= deadline:
                text = f"{busy} still running after {timeout_s:g} s: cut"
                emit(Progress("drain", text, most - busy, most, "requests"))
                return
            if busy and now - said_at >= WORD_S:
                said_at = now
                emit(Progress("drain", f"{busy} still running", most - busy, most, "requests"))
            if quiet < 2:  # noqa: PLR2004
                time.sleep(POLL_S)

    def _read(self) -> tuple[Book, bytes]:
        files = self._box.read()
        with suppress(ValueError, KeyError):
            return parse_book(files[BOOK]), files.get(CONFIG, b"")
        return Book(), files.get(CONFIG, b"")  # lost or broken by hand: every route is then asked for again

    def _load(self, book: Book, before: bytes) -> None:
        """Make the book's configuration run, then write the book. Raises ProviderError with HAProxy's words."""
        routes = (to_route(ident, kept.values, kept.outputs["port"]) for ident, kept in book.routes.items())
        config = render_config(routes, folder=self._box.folder, door=door_bind(book.door)).encode()
        wanted = said_digest(config.decode())
        if config != before or not self._runs(wanted):
            self._box.write({NEXT: config})
            if words := self._box.check(NEXT):
                raise ProviderError("HAProxy refuses the configuration of the routes", words, hint="nothing changed")
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

    def _port(self, book: Book, change: Change, after: Values) -> int:
        """Return the route's port: the one it must have, the one it had, its predecessor's, or a free one."""
        old, bind = book.routes.get(change.id), after["bind"]
        before = change.before.outputs.get("port", 0) if change.before else 0
        kept = old.outputs["port"] if old else before
        if old and after["port"] in {0, kept} and old.values["bind"] == bind:
            return int(kept)
        free = self._free(book, bind, change.id)
        deadline = time.monotonic() + CLOSE_S
        while (wish := after["port"] or kept) and wish not in free and time.monotonic() < deadline:
            time.sleep(POLL_S)
            free = self._free(book, bind, change.id)
        if fixed := after["port"]:
            if fixed not in free:
                raise ProviderError(
                    f"Port {fixed} on {bind} of {after['host']} is in use",
                    "another program listens there",
                    hint=f"end that program, or set models.{after['model']}.expose.port to another port",
                    address=str(change.address),
                )
            return int(fixed)
        return free.choose(_seed(change.labels), kept)

    def _door(self, book: Book, address: str, seed: str) -> str:
        """Return where the host's door is: where it was, else at a free port of the host's own address."""
        host, _, port = book.door.rpartition(":")
        if host == join(address, 0).rpartition(":")[0]:
            return book.door
        return join(address, self._free(book, "0.0.0.0", "").choose(f"{seed}/door", int(port or 0)))  # noqa: S104

    def _free(self, book: Book, bind: str, ident: str) -> Free:
        """Return the ports that a new address may have; those of our other routes are not free."""
        ours = {kept.outputs["port"] for other, kept in book.routes.items() if other != ident}
        door = int(book.door.rpartition(":")[2] or 0)
        own = book.routes.get(ident)
        mine = {own.outputs["port"]} if own else set()  # our own proxy listens there, and moves with the route
        return Free(numeric(bind), self._ports, self._box.listeners(), ours | {door}, mine)


def _seed(labels: Labels) -> str:
    """Return what all hosts of a model have in common, so that its port is usually the same on each of them."""
    return f"{labels.lineage}/{labels.workspace}/{labels.model}"


def _url(bind: str, port: int, address: str) -> str:
    return f"http://{join(address if bind in WILDCARDS else bind, port)}/v1"
