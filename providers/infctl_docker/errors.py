"""Owns what goes wrong between infctl and a Docker host, in words: a host that is down, a daemon that says no.

Pure: texts and numbers in, errors with a way on out. Knows no connection and imports no SDK.
"""

from __future__ import annotations

import errno
import shlex
import socket
import ssl

from infctl.provider.errors import ProviderError
from infctl.provider.values import Unreadable

WRONG_TIME = frozenset({9, 10})  # openssl-verify(1): X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
CLOCKS = "`date -u`, here and on the host: set the clock that is wrong; where none is, renew the certificate"
# What `docker system dial-stdio` writes to stderr, and the daemon's socket answers: part of the text (lower case),
# what it means, the way on. Texts of Docker 20.10 to 28 and of the shells that could not start it.
NO_DOCKER = (
    "docker is not installed there, or not on the PATH of a command run over ssh",
    "install Docker 18.09 or newer on the host; `ssh HOST docker version` must answer",
)
DAEMON_WORDS = (
    (("command not found", "docker: not found", "no such file or directory: docker"), *NO_DOCKER),
    (
        ("permission denied", "got permission denied"),
        "the user may not use Docker there",
        "on the host: sudo usermod -aG docker USER, then log in anew; or set up rootless Docker for that user",
    ),
    (
        (
            "cannot connect to the docker daemon",
            "is the docker daemon running",
            "connect: connection refused",
            "docker.sock: connect: no such file or directory",
        ),
        "the Docker daemon is not running there",
        "on the host: sudo systemctl start docker; `journalctl -u docker` says why it stopped",
    ),
    (
        ("is not a docker command", "unknown command: docker system dial-stdio", 'unknown command "dial-stdio"'),
        "its Docker is older than 18.09",
        "install a newer Docker on the host",
    ),
)

NO_SUCH_IMAGE = "the registry has no such tag or digest: check the image's name"

# What the daemon's API answers: part of the message (lower case), and the way on.
API_WORDS = (
    ("is already in use by container", "another container has that name: remove or rename it, or import it"),
    ("port is already allocated", "another container holds that port: choose another one, or stop that container"),
    ("address already in use", "a process on the host listens on that port: choose another one, or stop it"),
    ("no space left on device", "the host's disk is full: `docker system df` there shows what can go"),
    (
        "bind source path does not exist",
        "the host lacks this folder: make it, or mend model_folders of the target",
    ),
    ("could not select device driver", "install the NVIDIA Container Toolkit on the host, then restart Docker"),
    ("unresolvable cdi devices", "on the host: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
    ("docker-init", "install docker-init on the host: it comes with Docker's own packages, else with the package tini"),
    ("unknown runtime", "register the runtime in /etc/docker/daemon.json on the host, then restart Docker"),
    ("nvidia-container-cli", "`nvidia-smi` on the host shows which devices there are and whether the driver works"),
    ("server gave http response to https client", "add the registry to insecure-registries in /etc/docker/daemon.json"),
    ("x509: certificate", "the host does not trust the registry: put its CA in /etc/docker/certs.d/REGISTRY/ca.crt"),
    ("toomanyrequests", "the registry limits pulls: give registry_auth for it, or an image_mirror"),
    ("pull access denied", "check the image's name; if the registry is private, give registry_auth for it"),
    ("no basic auth credentials", "give registry_auth for this registry on the target"),
    ("unauthorized", "the registry wants a login: check registry_auth of the target"),
    ("denied", "the registry refuses this: check registry_auth and what that account may pull"),
    ("no matching manifest", "the image is not built for this host's processor"),
    ("manifest unknown", NO_SUCH_IMAGE),
    ("manifest for", NO_SUCH_IMAGE),
    ("no such image", "the image is not on the host: the next apply pulls it"),
    ("i/o timeout", "the host cannot reach the registry: check its network and proxy"),
    ("no such host", "the host cannot resolve the registry's name: check its DNS"),
    ("client sent an http request to an https server", "that port speaks TLS: give `tls:` of the host, not `insecure`"),
    ("is too old", "the host's Docker is newer than this infctl knows: update infctl"),
    ("is too new", "the host's Docker is too old: 18.09 or newer is needed"),
)


class HostDown(ProviderError):  # noqa: N818  # says it of the host: `down is HostDown` reads as it is
    """A host that could not be reached or did not answer: `place` names it, `hint` says what to do."""

    def __init__(self, place: str, reason: str, hint: str = "") -> None:
        super().__init__(f"The host {place} cannot be used", reason, hint=hint, retryable=True)
        self.place = place
        self.reason = reason
        self.hint = hint

    def again(self) -> HostDown:
        """Return the same finding anew: one exception raised in several threads would mix their tracebacks."""
        return type(self)(self.place, self.reason, self.hint)

    def as_unreadable(self) -> Unreadable:
        return Unreadable(self.place, self.reason, self.hint)


class Silent(HostDown):
    """A host that said nothing in the time it had: asking again would cost that time again."""


class DaemonError(ProviderError):
    """The Docker daemon of `place` answered with an error: `status` of HTTP and its own `message`."""

    def __init__(self, place: str, status: int, message: str) -> None:
        super().__init__(
            f"Docker on {place} says no",
            message,
            hint=hint_for(message),
            retryable=status >= 500,  # noqa: PLR2004
        )
        self.place = place
        self.status = status
        self.message = message


def hint_for(message: str) -> str:
    """Return the way on for what a Docker daemon or a registry said, "" where the text says all."""
    lower = message.lower()
    return next((hint for words, hint in API_WORDS if words in lower), "")


def no_daemon(place: str, status: int | None, text: str) -> HostDown:
    """Say why a command that should connect to the daemon ended: its exit status, if it came, and its stderr."""
    lower = text.lower()
    for words, reason, hint in DAEMON_WORDS:
        if any(each in lower for each in words):
            return HostDown(place, reason, hint)
    if status == 127:  # noqa: PLR2004  # POSIX shells: command not found
        return HostDown(place, *NO_DOCKER)
    last = text.strip().splitlines()[-1] if text.strip() else "the connection to the Docker daemon ended"
    ended = f" (exit status {status})" if status else ""
    return HostDown(place, f"{last}{ended}", "look at Docker on the host: `docker version` there must answer")


def not_connected(place: str, host: str, port: int, failure: OSError, seconds: float) -> HostDown:
    """Say why no TCP connection to `host` came about."""
    at = f"{host}:{port}"
    if isinstance(failure, socket.gaierror):
        return HostDown(
            place, f"the name {host} does not resolve", "check the host's url, or HostName in ~/.ssh/config"
        )
    if isinstance(failure, ConnectionRefusedError):
        return HostDown(place, f"{at} refuses connections", "check the port in the url, and that the service runs")
    if isinstance(failure, TimeoutError) or failure.errno == errno.ETIMEDOUT:
        return silent(place, at, seconds)
    reason = failure.strerror or str(failure)
    return HostDown(place, f"{at}: {reason}", "check that the machine is up and the network between you and it")


def silent(place: str, what: str, seconds: float) -> Silent:
    """Say that nothing came within the time a host has."""
    return Silent(
        place,
        f"no answer from {what} within {seconds:.3g} s",
        "check that the machine is up and that no firewall is between",
    )


def not_sshd(place: str, at: str, command: str = "") -> HostDown:
    if command:
        return HostDown(place, f"its ProxyCommand leads to no sshd: {command}", "run that command by hand")
    return HostDown(
        place,
        f"what answers at {at} is not sshd, or it closes the connection at once",
        "check the port in the url; sshd's log on the host says whether it turned you away (MaxStartups)",
    )


def no_session(place: str, user: str, detail: str) -> HostDown:
    """Say that sshd starts no command for a user who is logged in."""
    return HostDown(
        place,
        f"sshd starts no command for {user} ({detail})",
        "look at MaxSessions, ForceCommand and the user's shell on the host",
    )


class PortClosed(ProviderError, ConnectionRefusedError):  # noqa: N818  # as HostDown
    """A port of a host leads nowhere; for those who know sockets it is what they know.

    `forbidden` says that sshd forwards no ports at all.
    """

    forbidden = False


def nobody_listens(place: str, port: int, detail: str) -> PortClosed:
    """Say that a port of a host leads nowhere, which says nothing against the host."""
    forbidden = "prohibited" in detail.lower()
    hint = "see that the container runs: `docker ps` on the host"
    if forbidden:
        hint = "set AllowTcpForwarding to yes (or local) in the host's /etc/ssh/sshd_config, then reload sshd"
    closed = PortClosed(f"Nothing answers at 127.0.0.1:{port} on {place}", detail, hint=hint, retryable=True)
    closed.forbidden = forbidden
    return closed


def too_long(place: str, command: str, seconds: float) -> ProviderError:
    return ProviderError(
        f"{command} on {place} does not end",
        f"nothing came from it for {seconds:g} s",
        hint=f"run it on the host by hand: {command}",
        retryable=True,
    )


def not_docker(place: str, said: bytes) -> HostDown:
    """Say that something else than the daemon wrote into its stream."""
    return HostDown(
        place,
        f"what answers there is not Docker: {said[:60].decode(errors='replace').strip()!r}",
        "if that is text of a shell: ~/.bashrc of that user on the host must print nothing for commands over ssh",
    )


def cut(place: str, detail: str = "") -> HostDown:
    """Say that a connection ended in the middle of an answer."""
    reason = f"the connection broke: {detail}" if detail else "the connection broke"
    return HostDown(place, reason, "run the same command again; it continues where this one stopped")


def unknown_key(place: str, name: str, port: int, key: str, file: str) -> HostDown:
    """Say that a host's key is in no known_hosts file.

    `name` is as known_hosts has it (host, or [host]:port), `key` its kind and fingerprint.
    """
    scan = f"ssh-keyscan -p {port} {shlex.quote(_bare(name))} >> {shlex.quote(file)}"
    return HostDown(
        place,
        f"the host key of {name} is not known ({key})",
        f"compare the fingerprint with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host, then: {scan}",
    )


def changed_key(place: str, name: str, key: str, where: str) -> HostDown:
    """Say that a host shows another key than the one at `where` (FILE:LINE) in known_hosts."""
    return HostDown(
        place,
        f"the host key of {name} has CHANGED ({key}; another one is known at {where})",
        "somebody may be in between. If the machine was really made anew: "
        f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(where.rpartition(':')[0])}, then accept its new key",
    )


def revoked_key(place: str, name: str, where: str) -> HostDown:
    return HostDown(
        place, f"the host key of {name} is revoked at {where}", "the machine needs a new host key: ask who revoked it"
    )


def refused_login(place: str, user: str, at: str, tried: tuple[str, ...], locked: tuple[str, ...]) -> HostDown:
    """Say that no key was accepted. `tried` and `locked` (needing a passphrase) name keys for humans."""
    if locked and not tried:
        return HostDown(
            place,
            f"the key {', '.join(locked)} needs its passphrase",
            f"ssh-add {locked[0]} (infctl asks the ssh agent and never for a passphrase)",
        )
    if not tried:
        return HostDown(
            place,
            f"there is no ssh key to log in with as {user}@{at}",
            "load one into the agent (ssh-add), or give `identity_file` of the host, or IdentityFile in ~/.ssh/config",
        )
    also = f"; {', '.join(locked)} needs its passphrase: ssh-add it" if locked else ""
    return HostDown(
        place,
        f"{at} refuses the user {user} with the keys tried ({', '.join(tried)})",
        f"check the user in the url, and that the key is in ~{user}/.ssh/authorized_keys there (ssh-copy-id){also}",
    )


def more_wanted(place: str, at: str, methods: tuple[str, ...]) -> HostDown:
    """Say that sshd took the key and wants something else too, which infctl cannot ask for."""
    return HostDown(
        place,
        f"{at} wants more than a key: {', '.join(methods)}",
        "let that user in with a key alone: `AuthenticationMethods publickey` in the host's sshd_config",
    )


def not_tls(place: str, at: str, failure: ssl.SSLError) -> HostDown:
    """Say why TLS with a daemon failed: whose certificate was not believed, and what to look at."""
    detail = getattr(failure, "reason", None) or str(failure)
    text = f"{detail} {failure}".upper()
    if isinstance(failure, ssl.SSLCertVerificationError) and failure.verify_code in WRONG_TIME:
        return HostDown(place, f"the certificate of {at}: {failure.verify_message}", CLOCKS)
    if "CERTIFICATE_EXPIRED" in text:
        return HostDown(place, f"{at} says that our certificate has expired, or is not valid yet", CLOCKS)
    if isinstance(failure, ssl.SSLCertVerificationError):
        return HostDown(
            place,
            f"the certificate of {at} is not believed: {failure.verify_message}",
            "ca.pem in the host's `tls` folder must be the CA of the daemon, and the certificate name the url's host",
        )
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
        return HostDown(
            place, f"{at} does not speak TLS", "start dockerd with --tlsverify; or use ssh://, which needs no more"
        )
    if "ALERT" in text or "CERTIFICATE_REQUIRED" in text:
        return HostDown(
            place,
            f"{at} does not believe our certificate ({detail})",
            "cert.pem and key.pem in the host's `tls` folder must be signed by the CA that dockerd trusts",
        )
    return HostDown(place, f"TLS with {at} failed: {detail}", "check the host's `tls` folder")


def _bare(name: str) -> str:
    return name[1:].partition("]")[0] if name.startswith("[") else name


def no_socket(place: str, path: str, failure: OSError) -> HostDown:
    """Say why a socket file of this machine does not lead to a daemon."""
    if isinstance(failure, PermissionError):
        return HostDown(
            place, f"you may not use {path}", "sudo usermod -aG docker $USER, then log in anew; or use rootless Docker"
        )
    if isinstance(failure, FileNotFoundError | ConnectionRefusedError):
        return HostDown(
            place, f"no Docker daemon listens on {path}", "start it (sudo systemctl start docker), or check the path"
        )
    return HostDown(place, f"{path}: {failure.strerror or failure}", "check the path in the host's url")
