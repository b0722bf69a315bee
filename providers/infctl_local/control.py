"""Owns the relay's commands: HTTP on a unix socket that only this user can open.

`PUT /routes/MODEL`, `DELETE /routes/MODEL`, `GET /status`. Knows nothing of how a route is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from infctl_local.routes import MODEL, Route, parse_route


class Commands(Protocol):
    """What can be commanded: the relay."""

    async def put(self, route: Route) -> None: ...
    async def delete(self, model: str) -> None: ...
    def status(self) -> dict[str, Any]: ...


async def open_control(relay: Commands, path: Path) -> web.AppRunner:
    """Listen for commands at this path; a socket that a killed relay left there is replaced."""

    async def put(request: web.Request) -> web.Response:
        try:
            route = parse_route(await request.read())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        if route.model != request.match_info["model"]:
            return web.json_response({"error": f"the route is one of {route.model}"}, status=400)
        try:
            await relay.put(route)
        except OSError as error:
            return web.json_response({"error": error.strerror or str(error), "errno": error.errno}, status=409)
        return web.json_response(relay.status())

    async def delete(request: web.Request) -> web.Response:
        await relay.delete(request.match_info["model"])
        return web.json_response(relay.status())

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(relay.status())

    app = web.Application()
    place = f"/routes/{{model:{MODEL.pattern}}}"
    app.add_routes([web.put(place, put), web.delete(place, delete), web.get("/status", status)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    return runner
