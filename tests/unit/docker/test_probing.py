"""What a daemon says of a container that does not answer, in words; and when waiting longer is no use."""

from __future__ import annotations

from typing import Any

import pytest

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Health, Observed
from infctl_docker.errors import HostDown
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.probing import probe_replica

WHAT = Observed(
    Address("docker_container", "chat", "rack/0"), "ab", "chat", "rack",
    {"probe": {"kind": "http", "path": "/health", "model": "", "requests": 1}}, {"endpoint": "h1:1"}, None, place="h1",
)  # fmt: skip
RUNS = {"Running": True, "Status": "running", "StartedAt": "2026-11-21T10:00:30.5Z"}
ENDED = {"Running": False, "Status": "exited", "ExitCode": 3}
AGAIN = {
    "Running": True,
    "Restarting": True,
    "Status": "restarting",
    "ExitCode": 1,
    "StartedAt": "2026-11-21T10:00:30Z",
}
BORN, LONG_AGO = "2026-11-21T10:00:00.123456789Z", "2026-01-01T10:00:00Z"


class Deaf(Host):
    """A host that answers nobody: neither its engines nor its daemon can be asked."""

    def dial(self, port: int) -> Any:
        raise HostDown(self.name, f"port {port} is closed")

    @property
    def api(self) -> Any:
        raise ProviderError("no logs either")


def probed(state: dict[str, Any], restarts: int = 0, created: str = BORN, limit: int = 0) -> Health:
    doc = {"Id": "c", "State": state, "RestartCount": restarts, "Created": created, "HostConfig": {"Memory": limit}}
    return probe_replica(Deaf(HostConfig(url="unix:///nowhere", name="h1")), doc, WHAT)


@pytest.mark.parametrize(
    ("state", "more", "dead", "said"),
    [
        (RUNS, {}, False, "it does not answer yet: port 1 is closed"),
        (RUNS, {"restarts": 2}, False, "it does not answer yet: port 1 is closed"),
        (RUNS, {"restarts": 3}, True, "it ends again and again: 3 restarts"),
        (RUNS, {"restarts": 3, "created": LONG_AGO}, False, "it does not answer yet: port 1 is closed"),
        ({**RUNS, "Paused": True}, {}, False, "somebody paused it: docker unpause"),
        (AGAIN, {"restarts": 1}, False, "it ended with exit code 1, after 1 restart"),
        (AGAIN, {"restarts": 3}, True, "it ended with exit code 1, after 3 restarts"),
        (AGAIN, {"restarts": 3, "created": LONG_AGO}, False, "it ended with exit code 1, after 3 restarts"),
        (ENDED, {}, True, "it ended with exit code 3"),
        ({**ENDED, "ExitCode": 137}, {}, True, "it was killed (exit code 137)"),
        ({**ENDED, "OOMKilled": True}, {}, True, "it was killed because it ran out of memory"),
        ({**ENDED, "OOMKilled": True}, {"limit": 64 << 20}, True,
         "it was killed because it ran out of memory (its limit is 64 MiB)"),
        ({**ENDED, "Error": "no such device"}, {}, True, "it could not be started: no such device"),
        ({"Running": False, "Status": "created"}, {}, True, "it never started"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_container(state: dict[str, Any], more: dict[str, Any], dead: bool, said: str) -> None:
    health = probed(state, **more)
    assert (health.ready, health.dead, health.detail) == (False, dead, said)


def test_what_is_gone_is_dead() -> None:
    assert probe_replica(Deaf(HostConfig(url="unix:///nowhere")), None, WHAT).dead
