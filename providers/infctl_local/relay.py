"""Owns the stable addresses of one stack's models: a process that listens for them and obeys a socket.

`python -m infctl_local.relay DIRECTORY`: routes are files there, commands come through a unix socket there,
and after a restart it listens where it did before. Knows nothing of engines or revisions.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from infctl_local.balance import Balance, Load
from infctl_local.control import open_control
from infctl_local.forward import Forwarder
from infctl_local.lifeline import exit_with_parent, inherited
from infctl_local.routes import Route, choose_socket_path, leave_socket_path, read_routes, remove_route, write_route

BACKLOG = 1024  # connections that wait to be accepted
FINISH_S = 3600.0  # for open requests when a listener closes; whoever stops the relay sets the real limit
RETRY_LISTEN_S = 1.0
OPEN_MAX = 10_240  # what macOS allows where it says unlimited (its sys/syslimits.h)
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """One open port."""

    def __init__(self, handler: Handler) -> None:
        server = web.Server(handler, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=FINISH_S)

    async def open(self, bind: str, port: int) -> None:
        """Raises OSError."""
        await self._runner.setup()
        await web.TCPSite(self._runner, bind, port, backlog=BACKLOG).start()

    async def release(self) -> None:
        """Free the port; connections that are open stay."""
        for site in self._runner.sites:
            await site.stop()

    async def close(self) -> None:
        """Free the port, close idle connections, and return when open requests are answered."""
        await self._runner.cleanup()


class Endpoint:
    """One model's address: the balance over its backends, and the listener, when it is open."""

    def __init__(self, route: Route, forwarder: Forwarder) -> None:
        self.balance = Balance(route)
        self.listener: Listener | None = None
        self.problem = ""
        self._forwarder = forwarder

    async def listen(self, route: Route) -> Listener:
        """Return a new open listener for the route's address. Raises OSError."""
        listener = Listener(self._answer)
        try:
            await listener.open(route.bind, route.port)
        except OSError:
            await listener.close()
            raise
        return listener

    def status(self) -> dict[str, Any]:
        route, active, leaving = self.balance.route, self.balance.active(), self.balance.leaving()
        return {
            "model": route.model,
            "bind": route.bind,
            "port": route.port,
            "served_names": route.served_names,
            "listening": self.listener is not None,
            "problem": self.problem,
            "requests": self.balance.requests,
            "failures": self.balance.failures,
            "backends": [
                *(_load_status(load, draining=False) for load in active),
                *(_load_status(load, draining=True) for load in leaving),
            ],
        }

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._forwarder.answer(request, self.balance)


class Relay:
    """All endpoints, and what can be done with them. One change at a time."""

    def __init__(self, directory: Path, forwarder: Forwarder) -> None:
        self._directory = directory
        self._forwarder = forwarder
        self._endpoints: dict[str, Endpoint] = {}
        self._unreadable: dict[str, str] = {}
        self._changing = asyncio.Lock()
        self._deleted: list[Endpoint] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen for every route on file; one that cannot be is tried again and shown in the status."""
        for model, route in read_routes(self._directory).items():
            if isinstance(route, str):
                self._unreadable[model] = route
                sys.stderr.write(f"infctl: {route}\n")
            else:
                self._endpoints[model] = Endpoint(route, self._forwarder)
        await self._listen_where_closed()

    async def keep_listening(self) -> None:
        """Never returns: what is not listening, because a port was taken, listens once the port is free."""
        while True:
            await asyncio.sleep(RETRY_LISTEN_S)
            async with self._changing:
                await self._listen_where_closed()

    async def put(self, route: Route) -> None:
        """Make this the model's route: on disk first, then at once. Raises OSError; the old one stays then."""
        async with self._changing:
            endpoint = self._endpoints.get(route.model) or Endpoint(route, self._forwarder)
            opened = await self._open_where_moved(endpoint, route)
            try:
                write_route(self._directory, route)
            except OSError:
                if opened:
                    await opened.close()
                raise
            if opened:
                self._close_later(endpoint.listener)
                endpoint.listener, endpoint.problem = opened, ""
            endpoint.balance.switch(route)
            self._endpoints[route.model] = endpoint
            self._unreadable.pop(route.model, None)

    async def delete(self, model: str) -> None:
        """Forget the route; its open requests finish, its idle connections are closed."""
        async with self._changing:
            remove_route(self._directory, model)
            self._unreadable.pop(model, None)
            if endpoint := self._endpoints.pop(model, None):
                endpoint.balance.switch(replace(endpoint.balance.route, backends=()))
                self._deleted.append(endpoint)
                self._close_later(endpoint.listener)
                endpoint.listener = None

    def status(self) -> dict[str, Any]:
        """Return every route with its backends; also those, of both, that only finish old requests."""
        self._deleted = [endpoint for endpoint in self._deleted if endpoint.balance.leaving()]
        routes = [endpoint.status() for endpoint in (*self._endpoints.values(), *self._deleted)]
        return {"pid": os.getpid(), "routes": routes, "unreadable": self._unreadable}

    async def finish(self) -> None:
        """Close every listener and return when every open request is answered."""
        for endpoint in self._endpoints.values():
            self._close_later(endpoint.listener)
        await asyncio.gather(*self._closing)

    async def _listen_where_closed(self) -> None:
        for endpoint in self._endpoints.values():
            if endpoint.listener is None:
                try:
                    endpoint.listener = await endpoint.listen(endpoint.balance.route)
                    endpoint.problem = ""
                except OSError as error:
                    endpoint.problem = str(error)

    def _close_later(self, listener: Listener | None) -> None:
        if listener:
            task = asyncio.create_task(listener.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _open_where_moved(self, endpoint: Endpoint, route: Route) -> Listener | None:
        """Return a new listener where the address changes or nobody listens yet. Raises OSError."""
        old = endpoint.balance.route
        if endpoint.listener and (old.bind, old.port) == (route.bind, route.port):
            return None
        if endpoint.listener and old.port == route.port:  # the two addresses may overlap, as 0.0.0.0 does with all
            await endpoint.listener.release()
            self._close_later(endpoint.listener)
            endpoint.listener = None  # if the new one fails, keep_listening takes the old one back
        return await endpoint.listen(route)


def _load_status(load: Load, *, draining: bool) -> dict[str, Any]:
    return {
        "id": load.backend.id,
        "url": load.backend.url,
        "weight": load.backend.weight,
        "in_flight": load.in_flight,
        "requests": load.requests,
        "failures": load.failures,
        "draining": draining,
    }


async def run(directory: Path) -> None:
    """Relay until SIGTERM, then finish what is open."""
    forwarder = Forwarder()
    relay = Relay(directory, forwarder)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await relay.start()
    control = await open_control(relay, choose_socket_path(directory))
    listening = asyncio.create_task(relay.keep_listening())
    await stopped.wait()
    listening.cancel()
    await relay.finish()
    await control.cleanup()
    leave_socket_path(directory)
    await forwarder.close()


def main() -> None:
    os.umask(0o077)
    if (lifeline := inherited()) is not None:
        exit_with_parent(lifeline)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # a stream takes two; macOS gives 256 unless asked
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_MAX if most == resource.RLIM_INFINITY else most, most))
    asyncio.run(run(Path(sys.argv[1]).resolve()))


if __name__ == "__main__":
    main()
