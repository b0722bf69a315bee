"""How hosts are written in the file, and what of that is a mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from infctl_docker.client import agree
from infctl_docker.errors import HostDown
from infctl_docker.hosts import HostConfig


@pytest.mark.parametrize(
    ("given", "name", "address"),
    [
        ("ssh://ops@rack1", "rack1", "rack1"),
        ("ssh://rack1:2222", "rack1", "rack1"),
        ("unix:///var/run/docker.sock", "local", "127.0.0.1"),
        ("tcp://10.0.0.1:2376", "10.0.0.1", "10.0.0.1"),
        ({"url": "ssh://rack1", "name": "left", "address": "10.9.0.1"}, "left", "10.9.0.1"),
    ],
)
def test_a_host_is_a_url_or_says_more(given: object, name: str, address: str) -> None:
    made = HostConfig.model_validate(given)
    assert (made.name, made.address) == (name, address)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("rack1", "did you mean ssh://rack1"),
        ("ssj://rack1", 'did you mean "ssh"'),
        ("https://rack1", "not a way to a Docker host"),
        ("ssh://", "names no host"),
        ("ssh://ops:secret@rack1", "a password does not belong in a url"),
        ("ssh://rack1/path", "nothing may follow"),
        ("ssh://rack1:99999", "ort"),
        ("unix://docker.sock", "absolute path"),
        ({"url": "ssh://rack1", "tls": "certs"}, "for tcp:// hosts"),
        ({"url": "tcp://rack1", "tls": "certs", "insecure": True}, "either tls or insecure"),
        ({"url": "tcp://rack1", "identity_file": "k"}, "for ssh:// hosts"),
        ({"url": "ssh://rack1", "identityfile": "k"}, "identityfile"),
    ],
)
def test_what_is_no_host_is_told(given: object, words: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        HostConfig.model_validate(given)
    assert words in str(wrong.value)


@pytest.mark.parametrize(
    ("theirs", "oldest", "agreed"), [("1.41", "1.12", "1.41"), ("1.51", "1.24", "1.45"), ("1.60", "1.50", "1.50")]
)
def test_the_newest_version_that_both_know_is_spoken(theirs: str, oldest: str, agreed: str) -> None:
    assert agree("h1", theirs, oldest) == agreed


def test_a_docker_too_old_is_told() -> None:
    with pytest.raises(HostDown) as down:
        agree("h1", "1.22", "")
    assert "speaks API 1.22" in down.value.reason


def test_naming_a_host_loads_no_sdk() -> None:
    code = "import sys, infctl_docker.hosts as h; h.Host(h.HostConfig(url='ssh://rack1')); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "infctl_docker.hosts" in loaded
    assert not {"docker", "paramiko", "requests", "urllib3", "cryptography"} & set(loaded)
