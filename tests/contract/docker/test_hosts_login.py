"""Logging in to real hosts: ~/.ssh/config as OpenSSH reads it, host keys, and what is said when nobody gets in."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infctl_docker.errors import HostDown
from infctl_docker.hosts import Host, HostConfig
from tests.testbed.bed import Bed, make_key
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


@dataclass
class Home:
    """A home of its own for one test: nothing of the bed's is in it but what the test writes."""

    folder: Path
    key: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / ".ssh" / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def know(self, *hosts: DockerHost) -> None:
        keys = (f"{host.address} {' '.join(host.public_key.split()[:2])}\n" for host in hosts)
        self.write("known_hosts", "".join(keys))


@pytest.fixture
def real(hosts: HostsOf) -> DockerHost:
    (host,) = hosts("current")
    return host


@pytest.fixture
def home(real: DockerHost, bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Home(tmp_path, bed.key)
    made.know(real)
    return made


def name_of(url: str, **fields: object) -> str:
    """Return what the host calls itself. Raises HostDown."""
    host = Host(HostConfig.model_validate({"url": url, **fields}))
    try:
        name: str = host.ask("/info")["Name"]
        return name
    finally:
        host.close()


def down(url: str, **fields: object) -> HostDown:
    with pytest.raises(HostDown) as raised:
        name_of(url, **fields)
    return raised.value


def test_a_key_file_of_the_host_lets_in(real: DockerHost, home: Home) -> None:
    assert name_of(real.url, identity_file=str(home.key)) == real.name


def test_an_alias_stands_for_all_that_the_config_says(real: DockerHost, home: Home) -> None:
    known = home.write("elsewhere", (home.folder / ".ssh" / "known_hosts").read_text().replace(real.address, "rack-1"))
    home.write("known_hosts", "")
    home.write(
        "config",
        f"Host Rack1\n  HostName {real.address}\n  Port 22\n  User root\n  IdentityFile {home.key}\n"
        f"  HostKeyAlias rack-1\n  UserKnownHostsFile {known}\n",
    )
    assert name_of("ssh://Rack1") == real.name


def test_an_included_config_counts(real: DockerHost, home: Home) -> None:
    (home.folder / ".ssh" / "conf.d").mkdir()
    home.write("conf.d/rack", f"Host inner\n  HostName {real.address}\n")
    home.write("config", f"Include conf.d/*\nUser root\nIdentityFile {home.key}\n")
    assert name_of("ssh://inner") == real.name


def test_the_url_s_user_and_port_win_over_the_config(real: DockerHost, home: Home) -> None:
    home.write("config", f"Host *\n  User nobody-here\n  Port 1\n  IdentityFile {home.key}\n")
    assert name_of(f"ssh://root@{real.address}:22") == real.name


def test_a_host_behind_another_is_reached_through_it(
    hosts: HostsOf, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump, inner = hosts("old", "current")
    monkeypatch.setenv("HOME", str(home.folder))
    home.know(jump, inner)
    home.write(
        "config",
        f"Host *\n  User root\n  IdentityFile {home.key}\nHost jump\n  HostName {jump.address}\n"
        f"Host inner\n  HostName {inner.address}\n  ProxyJump jump\n",
    )
    seen = inner.sh("sh", "-c", "iptables -I INPUT -p tcp --dport 22 ! -s $1 -j REJECT", "_", jump.address)
    assert seen == ""
    try:
        assert "refuses connections" in down(f"ssh://{inner.address}").reason
        assert name_of("ssh://inner") == inner.name
        until = time.monotonic() + 10
        while "root@notty" in jump.sh("ps", "-eo", "args"):
            assert time.monotonic() < until, "the connection to the jump host was left open"
            time.sleep(0.05)
        home.know(inner)
        assert f"the host key of {jump.address} is not known" in down("ssh://inner").reason
        home.know(jump)
        assert f"the host key of {inner.address} is not known" in down("ssh://inner").reason
    finally:
        inner.sh("iptables", "-D", "INPUT", "1")


def test_a_command_may_carry_the_connection(real: DockerHost, home: Home) -> None:
    home.write("config", f"Host *\n  User root\n  IdentityFile {home.key}\n  ProxyCommand busybox nc %h %p\n")
    assert name_of(f"ssh://{real.address}") == real.name
    home.write("config", "Host *\n  User root\n  ProxyCommand no-such-command %h %p\n")
    assert "ProxyCommand leads to no sshd: no-such-command" in down(f"ssh://{real.address}").reason


def test_an_unknown_host_key_is_accepted_as_the_hint_says(real: DockerHost, home: Home) -> None:
    home.write("known_hosts", "")
    said = down(real.url, identity_file=str(home.key))
    digest = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=real.public_key, text=True, capture_output=True, check=True
    )
    assert digest.stdout.split()[1] in said.reason
    run_hint(said.hint.rpartition("then: ")[2])
    assert name_of(real.url, identity_file=str(home.key)) == real.name


def test_a_changed_host_key_is_accepted_as_the_hint_says(real: DockerHost, home: Home) -> None:
    make_key(home.folder / "other", "other")
    other = (home.folder / "other.pub").read_text().split()[:2]
    home.write("known_hosts", f"{real.address} {' '.join(other)}\n")
    said = down(real.url, identity_file=str(home.key))
    assert f"the host key of {real.address} has CHANGED" in said.reason
    assert "known_hosts:1" in said.reason
    run_hint(said.hint.partition("made anew: ")[2].partition(", then")[0])
    assert "is not known" in down(real.url, identity_file=str(home.key)).reason


def test_a_revoked_host_key_is_refused_though_it_is_known(real: DockerHost, home: Home) -> None:
    known = (home.folder / ".ssh" / "known_hosts").read_text()
    home.write("known_hosts", f"{known}@revoked {known}")
    assert "is revoked at" in down(real.url, identity_file=str(home.key)).reason


def test_hashed_and_wildcard_names_are_known(real: DockerHost, home: Home) -> None:
    known = home.folder / ".ssh" / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert real.address not in known.read_text()
    assert name_of(real.url, identity_file=str(home.key)) == real.name
    home.write("known_hosts", f"10.77.* {' '.join(real.public_key.split()[:2])}\n")
    assert name_of(real.url, identity_file=str(home.key)) == real.name


def test_the_agent_s_keys_let_in(real: DockerHost, home: Home, agent: None) -> None:
    assert "there is no ssh key" in down(real.url).reason
    subprocess.run(["ssh-add", "-q", home.key], check=True)
    assert name_of(real.url) == real.name


def test_a_locked_key_asks_for_the_agent(real: DockerHost, home: Home, agent: None) -> None:
    locked = home.folder / "locked"
    shutil.copy(home.key, locked)
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", locked], check=True, capture_output=True)
    said = down(real.url, identity_file=str(locked))
    assert f"the key {locked} needs its passphrase" in said.reason
    assert f"ssh-add {locked}" in said.hint


def test_a_wrong_user_and_a_wrong_key_are_told(real: DockerHost, home: Home) -> None:
    said = down(f"ssh://nobody-here@{real.address}", identity_file=str(home.key))
    assert "refuses the user nobody-here" in said.reason
    assert str(home.key) in said.reason
    make_key(home.folder / "other", "other")
    said = down(real.url, identity_file=str(home.folder / "other"))
    assert "refuses the user root" in said.reason
    assert "authorized_keys" in said.hint


def test_a_user_who_may_not_use_docker_is_told_how(real: DockerHost, home: Home) -> None:
    said = down(f"ssh://guest@{real.address}", identity_file=str(home.key))
    assert said.reason == "the user may not use Docker there"
    assert "usermod -aG docker" in said.hint
    assert name_of(f"ssh://deploy@{real.address}", identity_file=str(home.key)) == real.name


def test_a_host_without_docker_is_told(real: DockerHost, home: Home) -> None:
    places = real.sh("sh", "-c", "ls /usr/local/bin/docker /usr/bin/docker /usr/local/sbin/docker", check=False)
    found = [place for place in places.split("\n") if place.startswith("/")]
    for place in found:
        real.sh("mv", place, f"{place}.away")
    try:
        assert "docker is not installed there" in down(real.url, identity_file=str(home.key)).reason
    finally:
        for place in found:
            real.sh("mv", f"{place}.away", place)


def test_a_name_that_nobody_knows_and_a_port_where_nobody_listens_are_told(real: DockerHost, home: Home) -> None:
    assert down("ssh://no-such-host.invalid").reason == "the name no-such-host.invalid does not resolve"
    assert f"{real.address}:2222 refuses connections" in down(f"ssh://{real.address}:2222").reason


@pytest.fixture
def agent(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh agent without keys."""
    socket = home.folder / "agent.sock"
    started = subprocess.run(["ssh-agent", "-s", "-a", socket], check=True, capture_output=True, text=True).stdout
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    os.kill(int(started.partition("SSH_AGENT_PID=")[2].partition(";")[0]), signal.SIGTERM)


def run_hint(command: str) -> None:
    """Do what a hint says, with its redirection."""
    words, _, into = command.partition(" >> ")
    done = subprocess.run(shlex.split(words), check=True, capture_output=True, text=True)
    if into:
        path = Path(into.strip())
        path.write_text(path.read_text() + done.stdout)
