"""A Docker host, old or current, over SSH, a socket file or TLS: what is asked of it, and that it is answered."""

from __future__ import annotations

import http.client
import io
import re
import socket
import socketserver
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from infctl.provider.errors import ProviderError
from infctl_docker.errors import DaemonError, HostDown, PortClosed
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.streams import Tap
from tests.testbed.bed import Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

Reach = Callable[..., Host]


@pytest.fixture
def reach() -> Iterator[Reach]:
    """Return `reach(url, **fields of the config)`; what it made is closed at the end."""
    made: list[Host] = []

    def make(url: str, **fields: object) -> Host:
        made.append(Host(HostConfig.model_validate({"url": url, **fields})))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture(params=["old", "current"])
def real(request: pytest.FixtureRequest, hosts: HostsOf) -> DockerHost:
    (host,) = hosts(request.param)
    return host


def test_many_questions_are_answered_in_their_order(real: DockerHost, reach: Reach) -> None:
    for name in ("aa", "bb"):
        real.docker("create", "--name", name, "busybox:1", "true")
    paths = [f"/containers/{name}/json" for name in ("aa", "bb", "nobody")] * 300
    answers = reach(real.url).read(paths)
    assert [answer.status for answer in answers] == [200, 200, 404] * 300
    assert [answer.json()["Name"] for answer in answers if answer.status == 200] == ["/aa", "/bb"] * 300


def test_what_the_daemon_refuses_is_said_with_its_words(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    with pytest.raises(DaemonError) as asked:
        host.ask("/containers/nobody/json")
    assert asked.value.status == 404
    assert "No such container: nobody" in asked.value.message
    host.api.create_container("busybox:1", name="taken")
    with pytest.raises(DaemonError) as again:
        host.api.create_container("busybox:1", name="taken")
    assert again.value.status == 409
    assert "another container has that name" in again.value.diagnostics[0].hint


def test_the_api_version_is_one_that_both_sides_know(hosts: HostsOf, reach: Reach) -> None:
    old, current = hosts("old", "current")
    assert reach(old.url).api.api_version == "1.41"
    assert reach(current.url).api.api_version == "1.45"  # docker-py's newest; the daemon knows more


def test_a_container_is_made_fed_watched_and_asked(real: DockerHost, reach: Reach) -> None:
    api = reach(real.url).api
    made = api.create_container("busybox:1", ["sh", "-c", "cat /etc/given; echo end; sleep 900"])["Id"]
    api.put_archive(made, "/etc", archive_of("given", b"what was given\n"))
    api.start(made)
    lines = api.logs(made, stream=True, follow=True)
    assert b"".join(next(lines) for _ in range(2)) == b"what was given\nend\n"
    lines.close()
    ran = api.exec_create(made, ["sh", "-c", "echo out; echo err >&2; exit 3"])["Id"]
    assert api.exec_start(ran, demux=True) == (b"out\n", b"err\n")
    assert api.exec_inspect(ran)["ExitCode"] == 3
    blocks, stat = api.get_archive(made, "/etc/given")
    assert stat["size"] == len(b"what was given\n")
    with tarfile.open(fileobj=io.BytesIO(b"".join(blocks))) as archive:
        given = archive.extractfile("given")
        assert given
        assert given.read() == b"what was given\n"
    api.remove_container(made, force=True)


def test_a_command_in_a_container_is_talked_to(real: DockerHost, reach: Reach) -> None:
    api = reach(real.url).api
    made = api.create_container("busybox:1", ["sleep", "900"])["Id"]
    api.start(made)
    ran = api.exec_create(made, ["cat"], stdin=True)["Id"]
    talk = api.exec_start(ran, socket=True)
    assert isinstance(talk, Tap)
    for word in (b"first", b"second"):
        talk.sendall(word)
        header = talk.recv(8)
        assert header == bytes([1, 0, 0, 0, 0, 0, 0, len(word)])
        assert talk.recv(100) == word
    talk.shutdown(socket.SHUT_RDWR)
    talk.close()


def test_commands_run_with_their_words_as_they_are(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    words = ("a b", "$HOME", "'", '"', ";id", "ü\nx", "", "*")
    assert host.run(("printf", "%s|", *words)).stdout == "".join(f"{word}|" for word in words)
    ran = host.run(("sh", "-c", "cat; echo err >&2; exit 3"), feed=io.BytesIO(b"fed"))
    assert ran == (3, "fed", "err\n")
    assert host.run(("no-such-command-here",)).status == 127
    assert host.run(("sh", "-c", "kill -9 $$")).status == 255


def test_a_command_that_hangs_is_not_the_host_s_end(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    with pytest.raises(ProviderError) as hung:
        host.run(("sleep", "900"), timeout=0.3)
    assert not isinstance(hung.value, HostDown)
    assert "sleep" in hung.value.diagnostics[0].summary
    assert host.ask("/info")["Name"] == real.name


def test_a_large_file_is_fed_whole(real: DockerHost, reach: Reach, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"0123456789abcdef" * 1_000_000)
    with (tmp_path / "large").open("rb") as large:
        ran = reach(real.url).run(("wc", "-c"), feed=large)
    assert ran.stdout.strip() == "16000000"


def test_files_go_beside_the_compressed_connection(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    made = host.api.create_container("busybox:1", ["sleep", "900"])["Id"]
    host.api.put_archive(made, "/", archive_of("srv/.here", b""))
    content = bytes(range(256)) * 20_000
    for _ in range(3):
        host.bulk.put_archive(made, "/srv", archive_of("large", content))
    assert host.api.get_archive(made, "/srv/large")[1]["size"] == len(content)
    assert logins(real) == 2


def serve(host: Host) -> int:
    """Start a web server in a container and return the port of the host's loopback that leads to it."""
    api = host.api
    options = api.create_host_config(port_bindings={80: ("127.0.0.1", None)})
    web = ["sh", "-c", "mkdir /w; echo here >/w/index.html; exec httpd -f -p 80 -h /w"]
    made = api.create_container("busybox:1", web, ports=[80], host_config=options)["Id"]
    api.start(made)
    return int(api.inspect_container(made)["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])


def page(host: Host, port: int) -> bytes:
    for _ in range(50):
        client = http.client.HTTPConnection("engine")
        with closing(client):
            client.sock = host.dial(port)
            with suppress(http.client.HTTPException, HostDown):  # docker's own proxy is there before the server is
                client.request("GET", "/index.html")
                return client.getresponse().read()
    pytest.fail("the server did not answer")


def test_a_port_of_the_host_s_loopback_is_reached(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    port = serve(host)
    assert page(host, port) == b"here\n"
    with pytest.raises(ProviderError) as closed:
        host.dial(1)
    assert isinstance(closed.value, ConnectionRefusedError)
    assert not isinstance(closed.value, HostDown)
    assert "Nothing answers at 127.0.0.1:1" in closed.value.diagnostics[0].summary


def test_all_goes_over_one_connection(hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts("current")
    host = reach(real.url)

    def work(number: int) -> None:
        assert host.api.inspect_image("busybox:1")
        assert host.run(("echo", str(number))).stdout == f"{number}\n"
        assert host.read(("/_ping",))[0].body == b"OK"

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(16)))
    assert logins(real) == 1


@pytest.mark.parametrize("sessions", [1, 2])
def test_an_sshd_that_bears_few_sessions_is_no_error(sessions: int, hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts(Make("current", max_sessions=sessions))
    host = reach(real.url)

    def work(number: int) -> None:
        assert len(host.read(["/_ping"] * 3)) == 3
        assert host.run(("echo", str(number))).stdout == f"{number}\n"
        assert host.api.inspect_image("busybox:1")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(8)))


def test_streams_that_hold_every_session_stop_nobody(hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts(Make("current", max_sessions=1))
    host = reach(real.url)
    real.docker("run", "-d", "--name", "talker", "busybox:1", "sh", "-c", "echo on; sleep 900")
    held = host.api.logs("talker", stream=True, follow=True)
    assert next(held) == b"on\n"
    assert host.ask("/info")["Name"] == real.name
    assert host.run(("echo", "still here")).stdout == "still here\n"
    held.close()


def test_a_stream_dropped_in_the_middle_gives_its_session_back(hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts("current")
    host = reach(real.url)
    real.docker("run", "-d", "--name", "talker", "busybox:1", "sh", "-c", "while :; do echo on; done")
    for _ in range(9):  # more than a connection has sessions
        lines = host.api.logs("talker", stream=True, follow=True)
        assert next(lines)
        lines.close()
    assert logins(real) == 1


def test_a_socket_file_is_a_host(hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts("current")
    host = reach(f"unix://{real.socket}", name="here")
    assert host.ask("/info")["Name"] == real.name
    assert len(host.read(["/containers/json"] * 1000)) == 1000
    made = host.api.create_container("busybox:1", ["sleep", "900"])["Id"]
    host.api.start(made)
    ran = host.api.exec_create(made, ["echo", "out"])["Id"]
    assert host.api.exec_start(ran) == b"out\n"
    assert host.run(("cat",), feed=io.BytesIO(b"of this machine")).stdout == "of this machine"
    assert host.run(("no-such-command-here",)).status == 127
    with pytest.raises(ProviderError):
        host.run(("sleep", "900"), timeout=0.2)


def test_a_socket_file_that_is_not_there_is_said(reach: Reach) -> None:
    with pytest.raises(HostDown) as down:
        reach("unix:///run/no-such.sock", name="here").ask("/info")
    assert down.value.reason == "no Docker daemon listens on /run/no-such.sock"


def test_a_daemon_behind_tls_is_a_host_without_shell(hosts: HostsOf, bed: Bed, reach: Reach) -> None:
    (real,) = hosts(Make("current", tcp="tls"))
    host = reach(real.tcp_url, tls=str(bed.authority.folder))
    assert host.ask("/info")["Name"] == real.name
    made = host.api.create_container("busybox:1", ["sleep", "900"])["Id"]
    host.api.start(made)
    for size in (1, 100, 70_000):
        ran = host.api.exec_create(made, ["sh", "-c", f"head -c {size} /dev/zero; sleep 0.1; echo end"])["Id"]
        assert host.api.exec_start(ran) == bytes(size) + b"end\n"
    assert not host.has_shell
    with pytest.raises(ProviderError):
        host.run(("true",))


def test_ports_that_are_closed_at_the_same_moment_are_all_told_so(real: DockerHost, reach: Reach) -> None:
    host = reach(real.url)
    host.ask("/version")

    def dial(_: int) -> type[Exception]:
        with pytest.raises(ProviderError) as closed:
            host.dial(1)
        return closed.type

    with ThreadPoolExecutor(32) as each:
        assert set(each.map(dial, range(400))) == {PortClosed}


def test_a_port_of_a_host_without_shell_is_reached_through_its_proxy(hosts: HostsOf, bed: Bed, reach: Reach) -> None:
    (real,) = hosts(Make("current", tcp="tls"))
    host = reach(real.tcp_url, tls=str(bed.authority.folder))
    port = serve(host)
    with pytest.raises(ProviderError) as alone:
        host.dial(port)
    assert "no proxy of infctl runs there" in alone.value.diagnostics[0].detail
    real.docker("run", "-d", "--network", "host", "--label", "infctl.id=x", "busybox:1", "sleep", "900")
    assert page(host, port) == b"here\n"
    closed = host.dial(1)
    with pytest.raises(ConnectionRefusedError):
        closed.recv(1)
    closed.close()


def test_an_sshd_that_forwards_nothing_is_gone_around(hosts: HostsOf, reach: Reach) -> None:
    (real,) = hosts("current")
    port = serve(reach(real.url))
    settings = "/etc/ssh/sshd_config"
    before = real.sh("cat", settings)
    real.sh("tee", settings, given=b"AllowTcpForwarding no\n" + before.encode())
    real.stop("sshd")
    real.start("sshd")
    try:
        host = reach(real.url)
        with pytest.raises(ProviderError) as alone:
            host.dial(port)
        assert "no proxy of infctl runs there" in alone.value.diagnostics[0].detail
        real.docker("run", "-d", "--network", "host", "--label", "infctl.id=x", "busybox:1", "sleep", "900")
        assert page(host, port) == b"here\n"
    finally:
        real.sh("tee", settings, given=before.encode())
        real.stop("sshd")
        real.start("sshd")


def test_tls_that_one_side_does_not_believe_is_said(hosts: HostsOf, bed: Bed, reach: Reach, tmp_path: Path) -> None:
    (real,) = hosts(Make("current", tcp="tls"))
    from tests.testbed.certs import Authority  # noqa: PLC0415

    stranger = Authority(tmp_path / "stranger")
    cases = {"not believed": stranger.folder, "does not believe our certificate": tmp_path / "mixed"}
    (tmp_path / "mixed").mkdir()
    for name, source in (("ca", bed.authority.folder), ("cert", stranger.folder), ("key", stranger.folder)):
        (tmp_path / "mixed" / f"{name}.pem").write_bytes((source / f"{name}.pem").read_bytes())
    for words, folder in cases.items():
        with pytest.raises(HostDown) as down:
            reach(real.tcp_url, tls=str(folder)).ask("/info")
        assert words in down.value.reason
        assert ".pem" in down.value.hint


def test_tcp_without_tls_is_an_explicit_word(plain: int, bed: Bed, real: DockerHost, reach: Reach) -> None:
    with pytest.raises(HostDown) as down:
        reach(f"tcp://{bed.address}:{plain}").read(("/_ping",))
    assert "insecure: true" in down.value.hint
    assert reach(f"tcp://{bed.address}:{plain}", insecure=True).ask("/info")["Name"] == real.name
    assert reach(f"tcp://127.0.0.1:{plain}").read(("/_ping",))[0].body == b"OK"


def test_tls_to_a_daemon_without_it_is_said(plain: int, bed: Bed, reach: Reach) -> None:
    with pytest.raises(HostDown) as down:
        reach(f"tcp://{bed.address}:{plain}", tls=str(bed.authority.folder)).read(("/_ping",))
    assert "does not speak TLS" in down.value.reason


@pytest.fixture
def plain(real: DockerHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port of every address of this machine that leads to the daemon: dockerd itself waits 15 s before it does so."""
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)

    class Passing(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as daemon:
                daemon.connect(str(real.socket))
                back = threading.Thread(target=pass_on, args=(daemon, self.request))
                back.start()
                pass_on(self.request, daemon)
                back.join()

    with socketserver.ThreadingTCPServer(("", 0), Passing) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def logins(real: DockerHost) -> int:
    """Return how many SSH connections lead into a host now."""
    return len(re.findall(r"sshd: root@notty", real.sh("ps", "-eo", "args")))


def archive_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
