"""The whole configuration of a host's proxy: one host of three, with two models.

INFCTL_GOLDEN=write writes it anew, to be read before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infctl_docker.proxy_config import digest, render_config, said_digest, to_route

GOLDEN = Path(__file__).with_name("haproxy.cfg")
CHAT: dict[str, Any] = {
    "host": "gpu-01", "model": "chat", "bind": "10.0.0.1", "backends": ("gpu-01:21034", "gpu-01:21035", "gpu-02:21034"),
    "doors": {"gpu-02": "10.0.0.2:24000"}, "health": "/health", "hold": 30,
}  # fmt: skip
EMBED: dict[str, Any] = {**CHAT, "model": "embed", "bind": "127.0.0.1", "backends": (), "doors": {}}


def test_the_configuration_of_a_host_is_this() -> None:
    routes = [to_route("e1", EMBED, 8001), to_route("c1", CHAT, 8000)]
    said = render_config(routes, folder="/etc/infctl", door="10.0.0.1:24000")
    if os.environ.get("INFCTL_GOLDEN") == "write":
        GOLDEN.write_text(said)
    assert said == GOLDEN.read_text()


names = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
endpoints = st.builds("{}:{}".format, st.sampled_from(("gpu-01", "gpu-02", "gpu-03")), st.integers(1024, 65_535))


@given(st.dictionaries(names, st.lists(endpoints, max_size=6, unique=True).map(tuple), max_size=5), st.randoms())
def test_a_configuration_depends_on_its_routes_and_not_on_their_order(models: dict[str, Any], random: Any) -> None:
    routes = [
        to_route(f"id{number}", {**CHAT, "model": name, "backends": backends}, 20_000 + number)
        for number, (name, backends) in enumerate(models.items())
    ]
    said = render_config(routes, folder="/f", door="10.0.0.1:24000")
    random.shuffle(routes)
    assert render_config(routes, folder="/f", door="10.0.0.1:24000") == said
    assert said_digest(said)
    for name, backends in models.items():
        near = [one.rpartition(":")[2] for one in backends if one.startswith("gpu-01:")]
        for port in near:
            assert f"server replica-{port} 127.0.0.1:{port} check\n" in said
        assert f"ssl_fc_sni {name}.infctl" in said
    assert "gpu-03" not in said  # its door is not known


def test_another_route_is_another_digest() -> None:
    one, other = (render_config([to_route("c1", CHAT, port)], folder="/f", door="") for port in (8000, 8001))
    assert said_digest(one) != said_digest(other)
    assert digest(one) != digest(other)
