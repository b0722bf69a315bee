"""Where ssh:// urls lead, by config files as people write them; and which keys known_hosts has for a host."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from infctl_docker.known_hosts import Verdict, find_keys, judge
from infctl_docker.ssh_config import Route, find_route
from tests.needs import need_command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("LOGNAME", "me")
    return tmp_path


def route(home: Path, config: str, url: str, identity_file: str = "") -> Route:
    (home / ".ssh" / "config").write_text(config)
    return find_route(url, identity_file)


def test_without_a_config_a_url_is_all(home: Path) -> None:
    found = find_route("ssh://ops@rack1:2222")
    assert (found.host, found.port, found.user, found.known_as) == ("rack1", 2222, "ops", "[rack1]:2222")
    assert found.keys == ()
    assert f"{home}/.ssh/id_ed25519" in found.more_keys
    assert found.agent
    assert find_route("ssh://rack1").user == "me"
    assert find_route("ssh://[fe80::1]:22").host == "fe80::1"


@pytest.mark.parametrize(
    ("config", "url", "expected"),
    [
        ("Host r\n HostName 10.0.0.1\n Port 2200\n User ops\n", "ssh://r", ("10.0.0.1", 2200, "ops")),
        ("Host r\n HostName 10.0.0.1\n Port 2200\n User ops\n", "ssh://me@r:22", ("10.0.0.1", 22, "me")),
        ("Host rack-*\n HostName %h.example.com\n", "ssh://ops@rack-1", ("rack-1.example.com", 22, "ops")),
        ("Host * !r2\n User ops\n", "ssh://r2", ("r2", 22, "me")),
        ("Host=r\nUser=ops\n", "ssh://r", ("r", 22, "ops")),
        ("user first\nHost r\n User second\n", "ssh://r", ("r", 22, "first")),
        ("Host Rack1\n HostName 10.0.0.1\n", "ssh://ops@Rack1", ("10.0.0.1", 22, "ops")),
        ("Match host r user ops\n Port 2200\n", "ssh://ops@r", ("r", 22, "ops")),
    ],
)
def test_a_config_is_read_as_openssh_reads_it(
    config: str, url: str, expected: tuple[str, int, str], home: Path
) -> None:
    found = route(home, config, url)
    assert (found.host, found.port, found.user) == expected


def test_an_include_keeps_to_its_section(home: Path) -> None:
    (home / ".ssh" / "more").write_text("Host other\n Port 7\nHost r\n Port 8\n")
    found = route(home, "Include more\nUser ops\nHost s\n Include no-such\n Port 9\n", "ssh://r")
    assert (found.port, found.user) == (8, "ops")
    assert find_route("ssh://s").port == 9
    (home / ".ssh" / "more").write_text("Include more\n")
    assert find_route("ssh://s").port == 9


def test_keys_given_are_tried_first_or_alone(home: Path) -> None:
    config = "Host *\n IdentityFile ~/.ssh/a\n IdentityFile /k/b\n"
    found = route(home, config, "ssh://r")
    assert found.keys == (f"{home}/.ssh/a", "/k/b")
    assert found.agent
    assert found.more_keys == ()
    assert not route(home, f"{config} IdentitiesOnly yes\n", "ssh://r").agent
    only = find_route("ssh://r", "/k/mine")
    assert only.keys == ("/k/mine",)
    assert not only.agent


def test_jumps_come_in_the_order_they_are_gone_through(home: Path) -> None:
    config = "Host r\n ProxyJump ops@j1:2200,j2\nHost j1\n HostName 10.0.0.1\n ProxyJump j0\nHost j2\n ProxyJump no\n"
    found = route(home, config, "ssh://r")
    assert [(jump.host, jump.port) for jump in found.jumps] == [("j0", 22), ("10.0.0.1", 2200), ("j2", 22)]
    assert found.jumps[1].user == "ops"
    assert route(home, "Host r\n ProxyJump none\n ProxyCommand nc %h %p\n", "ssh://r").command == "nc r 22"


def test_jumps_in_a_circle_are_an_error(home: Path) -> None:
    with pytest.raises(ValueError, match="circle"):
        route(home, "Host a\n ProxyJump b\nHost b\n ProxyJump a\n", "ssh://a")


def test_a_config_that_cannot_be_parsed_is_an_error(home: Path) -> None:
    with pytest.raises(ValueError, match="ssh/config"):
        route(home, "what is this?\n!!\n", "ssh://r")


def line(name: str, key: bytes, marker: str = "") -> str:
    return f"{marker} {name} ssh-ed25519 {base64.b64encode(key).decode()} comment\n".lstrip()


OURS, OTHER = b"our key", b"another key"


@pytest.mark.parametrize(
    ("known", "verdict"),
    [
        ("", Verdict.UNKNOWN),
        (line("rack1", OURS), Verdict.KNOWN),
        (line("rack2,rack1,10.0.0.1", OURS), Verdict.KNOWN),
        (line("rack*", OURS), Verdict.KNOWN),
        (line("RACK1", OURS), Verdict.KNOWN),
        (line("rack?,!rack1", OURS), Verdict.UNKNOWN),
        (line("rack", OURS), Verdict.UNKNOWN),
        (line("[rack1]:2222", OURS), Verdict.UNKNOWN),
        (line("rack1", OTHER), Verdict.CHANGED),
        (line("rack1", OTHER) + line("rack1", OURS), Verdict.KNOWN),
        (line("rack1", OURS) + line("*", OURS, "@revoked"), Verdict.REVOKED),
        (line("rack1", OURS) + line("*", OTHER, "@revoked"), Verdict.KNOWN),
        (line("rack1", OURS, "@cert-authority"), Verdict.UNKNOWN),
        ("# " + line("rack1", OURS), Verdict.UNKNOWN),
        ("rack1 ssh-ed25519\n\nrack1 ssh-ed25519 ???\n", Verdict.UNKNOWN),
    ],
)
def test_what_known_hosts_says_of_a_key(known: str, verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(known)
    lines = find_keys("rack1", (str(tmp_path / "none"), str(tmp_path / "known")))
    assert judge(lines, OURS)[0] is verdict


def test_a_port_of_its_own_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "known").write_text(line("[rack1]:2222", OURS))
    assert judge(find_keys("[rack1]:2222", (str(tmp_path / "known"),)), OURS) == (
        Verdict.KNOWN,
        f"{tmp_path}/known:1",
    )


def test_hashed_names_are_found(tmp_path: Path) -> None:
    need_command("ssh-keygen")
    known = tmp_path / "known"
    subprocess.run(
        [shutil.which("ssh-keygen") or "", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True
    )
    kind, key = (tmp_path / "k.pub").read_text().split()[:2]
    known.write_text(f"rack1,10.0.0.1 {kind} {key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
    assert "rack1" not in known.read_text()
    for name in ("rack1", "10.0.0.1"):
        assert judge(find_keys(name, (str(known),)), base64.b64decode(key))[0] is Verdict.KNOWN
    assert find_keys("rack2", (str(known),)) == ()
