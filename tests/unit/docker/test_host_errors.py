"""What hosts, shells, daemons and registries say, in their own words, and what we make of it."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from infctl_docker import errors

# (exit status, stderr of `docker system dial-stdio` over SSH, part of the reason, part of the hint); texts as seen on
# Docker 20.10, 26.1 and 28.5, dash, bash, fish and busybox
ENDED = [
    (127, "bash: line 1: docker: command not found\n", "not installed", "18.09"),
    (127, "sh: 1: docker: not found\n", "not installed", "18.09"),
    (127, "sh: docker: not found\n", "not installed", "18.09"),
    (127, "fish: Unknown command: docker\n", "not installed", "18.09"),
    (127, "", "not installed", "18.09"),
    (
        1,
        "failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: permission denied\n",
        "may not use Docker",
        "usermod -aG docker",
    ),
    (
        1,
        "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock\n",
        "may not use Docker",
        "usermod -aG docker",
    ),
    (
        1,
        "failed to open the raw stream connection: dial unix /run/docker.sock: connect: no such file or directory\n",
        "not running",
        "systemctl start docker",
    ),
    (
        1,
        "Cannot connect to the Docker daemon at unix:///run/user/1000/docker.sock. Is the docker daemon running?\n",
        "not running",
        "systemctl start docker",
    ),
    (
        1,
        "failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: connection refused\n",
        "not running",
        "systemctl start docker",
    ),
    (1, "docker: 'system' is not a docker command.\nSee 'docker --help'\n", "older than 18.09", "newer Docker"),
    (1, "unknown command: docker system dial-stdio\n", "older than 18.09", "newer Docker"),
    (255, "This account is currently not available.\n", "not available. (exit status 255)", "docker version"),
    (None, "", "the connection to the Docker daemon ended", "docker version"),
]


@pytest.mark.parametrize(("status", "text", "reason", "hint"), ENDED)
def test_why_a_daemon_was_not_reached(status: int | None, text: str, reason: str, hint: str) -> None:
    down = errors.no_daemon("h1", status, text)
    assert reason in down.reason
    assert hint in down.hint
    assert down.place == "h1"


# (message of the API or of a line of a pull, part of the hint); texts as Docker 20.10 and 28.5 give them
SAID = [
    (
        'Conflict. The container name "/c1" is already in use by container "ab12". You have to remove',
        "remove or rename",
    ),
    (
        "driver failed programming external connectivity: Bind for 127.0.0.1:80 failed: port is already allocated",
        "port",
    ),
    ("failed to bind host port for 0.0.0.0:80: listen tcp4 0.0.0.0:80: bind: address already in use", "listens on"),
    ("write /var/lib/docker/tmp/x: no space left on device", "disk is full"),
    ('could not select device driver "" with capabilities: [[gpu]]', "NVIDIA Container Toolkit"),
    ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=9", "nvidia-ctk cdi generate"),
    ("Unknown runtime specified nvidia", "daemon.json"),
    ("nvidia-container-cli: device error: 9: unknown device: unknown", "nvidia-smi"),
    ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
    ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "certs.d"),
    ("toomanyrequests: You have reached your pull rate limit.", "image_mirror"),
    ("pull access denied for no/such, repository does not exist or may require 'docker login'", "image's name"),
    ("no basic auth credentials", "registry_auth"),
    ("unauthorized: authentication required", "registry_auth"),
    ("manifest unknown: manifest unknown", "no such tag or digest"),
    ("manifest for busybox:9 not found: manifest unknown: manifest unknown", "no such tag or digest"),
    ("No such image: busybox:9", "next apply pulls it"),
    ("no matching manifest for linux/arm64/v8 in the manifest list entries", "processor"),
    ("dial tcp 10.0.0.1:443: i/o timeout", "network and proxy"),
    ("dial tcp: lookup registry.example.com: no such host", "DNS"),
    ("client version 1.24 is too old. Minimum supported API version is 1.44", "update infctl"),
    ("client version 1.51 is too new. Maximum supported API version is 1.41", "too old"),
    ("Client sent an HTTP request to an HTTPS server.", "speaks TLS"),
    ("No such container: c1", ""),
]


@pytest.mark.parametrize(("message", "hint"), SAID)
def test_what_a_daemon_says_has_a_way_on(message: str, hint: str) -> None:
    found = errors.hint_for(message)
    assert hint in found
    assert bool(found) == bool(hint)


def error_of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name rack1 does not resolve"),
        (error_of(errno.ECONNREFUSED), "rack1:22 refuses connections"),
        (TimeoutError("timed out"), "no answer from rack1:22 within 3 s"),
        (error_of(errno.ETIMEDOUT), "no answer from rack1:22 within 3 s"),
        (error_of(errno.EHOSTUNREACH), "rack1:22: No route to host"),
        (error_of(errno.ENETUNREACH), "rack1:22: Network is unreachable"),
    ],
)
def test_why_nothing_was_connected(failure: OSError, reason: str) -> None:
    down = errors.not_connected("h1", "rack1", 22, failure, 3)
    assert down.reason == reason
    assert down.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "does not speak TLS"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)", "does not believe our certificate"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "does not believe our certif"),
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired", "not valid yet"),
        ("[SSL: UNEXPECTED_MESSAGE] unexpected message", "failed"),
    ],
)
def test_why_tls_failed(text: str, reason: str) -> None:
    down = errors.not_tls("h1", "rack1:2376", ssl.SSLError(1, text))
    assert reason in down.reason
    assert down.hint


def test_a_login_that_was_refused_names_what_was_tried() -> None:
    nothing = errors.refused_login("h1", "ops", "rack1:22", (), ())
    assert "there is no ssh key to log in with as ops@rack1:22" in nothing.reason
    locked = errors.refused_login("h1", "ops", "rack1:22", (), ("/k/id",))
    assert locked.hint.startswith("ssh-add /k/id")
    tried = errors.refused_login("h1", "ops", "rack1:22", ("/k/a", "/k/b"), ("/k/id",))
    assert "(/k/a, /k/b)" in tried.reason
    assert "/k/id needs its passphrase" in tried.hint


def test_hints_to_accept_a_key_are_commands_that_can_be_pasted() -> None:
    unknown = errors.unknown_key("h1", "[rack1]:2222", 2222, "ssh-ed25519 SHA256:x", "/home/a b/.ssh/known_hosts")
    assert unknown.hint.endswith("ssh-keyscan -p 2222 rack1 >> '/home/a b/.ssh/known_hosts'")
    changed = errors.changed_key("h1", "[rack1]:2222", "ssh-ed25519 SHA256:x", "/home/a b/.ssh/known_hosts:7")
    assert "ssh-keygen -R '[rack1]:2222' -f '/home/a b/.ssh/known_hosts'" in changed.hint


def test_a_daemon_s_no_may_be_asked_again_only_if_it_is_its_own_trouble() -> None:
    assert errors.DaemonError("h1", 500, "x").retryable
    assert not errors.DaemonError("h1", 409, "x").retryable
