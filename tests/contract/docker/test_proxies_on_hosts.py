"""Proxies as containers on real hosts: what rights they have, what they survive, what of them is seen to be changed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Do, Known, Observed, Spot
from infctl_docker.proxy_box import user_of
from infctl_docker.proxy_kinds import EDITED, PROXY, ROUTE
from tests.contract.docker.haproxy import wait
from tests.contract.docker.rack import IMAGES, LINEAGE, PROXY_IMAGE, Rack, template, wish
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")
EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def rack(hosts: HostsOf, tmp_path: Path) -> Iterator[Rack]:
    with closing(Rack(tmp_path, hosts("old", "current", loaded=IMAGES))) as made:
        yield made


def one_each(rack: Rack, **more: Any) -> Deployment:
    spots = tuple(Spot(host.name) for host in rack.hosts)
    return wish(template(), slots=(0, 1), spots=spots, bind=EVERYWHERE, **more)


def of(rack: Rack, kind: str) -> list[Observed]:
    return [seen for seen in rack.observe() if seen.address.kind == kind]


def health(seen: Observed) -> int:
    """Return what an address answers: it leads to a web server with one page."""
    host, _, port = str(seen.outputs["url"]).removeprefix("http://").removesuffix("/v1").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def do(rack: Rack, what: Do, seen: Observed) -> None:
    """Do something to an object that stands, as `one_each` wants it."""
    want = next(want for want in rack.bench.lower(one_each(rack)) if want.address == seen.address)
    known = Known(seen.address, seen.id, seen.name, seen.outputs)
    rack.bench.do(rack.change(what, want, before=known))


def test_each_host_has_an_address_that_answers_and_hosts_agree_on_its_port(rack: Rack) -> None:
    rack.make(one_each(rack))
    routes = of(rack, ROUTE)
    assert len({seen.outputs["port"] for seen in routes}) == 1
    assert [health(seen) for seen in routes] == [200, 200]


def test_a_proxy_has_no_right_but_to_listen_and_shows_no_key(rack: Rack) -> None:
    rack.make(one_each(rack))
    for seen in of(rack, PROXY):
        host = rack.host(seen.place)
        (doc,) = json.loads(host.docker("inspect", rack.container(seen)))
        assert doc["HostConfig"]["ReadonlyRootfs"]
        assert doc["HostConfig"]["CapDrop"] == ["ALL"]
        assert not doc["HostConfig"]["CapAdd"]
        assert "no-new-privileges" in doc["HostConfig"]["SecurityOpt"]
        user = str(user_of(LINEAGE, "rack"))
        assert doc["Config"]["User"] == f"{user}:{user}"
        pem = host.docker("exec", rack.container(seen), "cat", "/etc/infctl/door.pem")
        secret = pem.splitlines()[1]
        assert secret not in json.dumps(doc)
        assert secret not in host.docker("logs", rack.container(seen))
        assert "PRIVATE KEY" in pem
        modes = host.docker("exec", rack.container(seen), "sh", "-c", "stat -c '%a %u' /etc/infctl/*").split("\n")
        assert set(filter(None, modes)) == {f"600 {user}"}


def test_addresses_come_back_with_their_host(rack: Rack) -> None:
    rack.make(one_each(rack))
    before = {seen.id: seen.outputs for seen in of(rack, ROUTE)}
    for host in rack.hosts:
        host.crash()
        host.up()
    rack.bench.provider = rack.provider()
    wait(lambda: [health(seen) for seen in of(rack, ROUTE)] == [200, 200], 30)
    assert {seen.id: seen.outputs for seen in of(rack, ROUTE)} == before


def test_the_death_of_a_host_leaves_the_others_address(rack: Rack) -> None:
    rack.make(one_each(rack))
    first, second = of(rack, ROUTE)
    (replica,) = [seen for seen in of(rack, "docker_container") if seen.place == second.place]
    host, container = rack.host(second.place), rack.container(replica)
    host.docker("stop", "-t", "0", container)
    assert health(second) == 200  # by the door of the first
    host.docker("start", container)
    wait(lambda: health(second) == 200)
    rack.host(first.place).partition()
    try:
        assert [health(second) for _ in range(4)] == [200] * 4
    finally:
        rack.host(first.place).heal()


def test_edits_by_hand_are_seen_and_undone(rack: Rack) -> None:
    made = rack.make(one_each(rack))
    seen = of(rack, PROXY)[0]
    host, container = rack.host(seen.place), rack.container(seen)
    host.docker("exec", container, "sh", "-c", "echo '# mine' >> /etc/infctl/haproxy.cfg")
    host.docker("update", "--restart", "no", container)
    edited = next(one for one in of(rack, PROXY) if one.id == seen.id)
    assert (edited.values["config"], edited.values["restart"]) == (EDITED, "no")
    change = next(change for change in made.values() if change.id == seen.id)
    do(rack, Do.UPDATE, seen)
    mended = next(one for one in of(rack, PROXY) if one.id == seen.id)
    assert mended.values == change.after
    host.docker("stop", "-t", "1", container)
    assert not any(
        one.running for one in rack.observe() if one.address.kind in {PROXY, ROUTE} and one.place == seen.place
    )
    do(rack, Do.UPDATE, seen)
    assert all(one.running for one in rack.observe())


def test_a_port_that_a_stranger_has_is_named(rack: Rack) -> None:
    host = rack.hosts[0]
    host.docker("run", "-d", "--name", "stranger", "--net", "host", "busybox:1", "httpd", "-f", "-p", "24680")
    with pytest.raises(ProviderError, match=r"Port 24680 on 0\.0\.0\.0 of") as raised:
        rack.make(one_each(rack, port=24680))
    assert "models.tiny.expose.port" in raised.value.diagnostics[0].hint


def test_nobody_else_s_haproxy_can_share_an_address_of_ours(rack: Rack) -> None:
    """Two stacks that choose the same port at the same moment: the kernel lets one have it."""
    rack.make(one_each(rack, port=24681))
    config = r"defaults\n timeout client 1s\nfrontend a\n bind 0.0.0.0:24681\n"
    start = f"printf '{config}' >/tmp/c; haproxy -D -f /tmp/c && echo it listens"

    def said(user: int) -> str:
        argv = ("--net", "host", "--user", str(user), "--entrypoint", "sh", PROXY_IMAGE, "-c", start)
        return rack.hosts[0].docker("run", "--rm", *argv, check=False)

    assert "cannot bind" in said(user_of("another lineage", "rack"))
    assert "it listens" in said(user_of(LINEAGE, "rack"))  # as a reload does


def test_a_proxy_made_anew_gets_its_routes_at_their_old_ports(rack: Rack) -> None:
    rack.make(one_each(rack))
    (route, _) = before = of(rack, ROUTE)
    (proxy, *_) = of(rack, PROXY)
    do(rack, Do.DELETE, proxy)
    assert health(route) == 0
    do(rack, Do.CREATE, proxy)
    do(rack, Do.SWITCH, route)
    assert [health(seen) for seen in of(rack, ROUTE)] == [200, 200]
    assert [seen.outputs for seen in of(rack, ROUTE)] == [seen.outputs for seen in before]
