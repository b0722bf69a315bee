"""What keeps a pod from answering, in words; and when waiting longer is no use."""

from __future__ import annotations

from typing import Any

import pytest

from infctl_kubernetes.probing import Trouble, read_trouble

Container = dict[str, Any]


def waiting(why: str, message: str = "", restarts: int = 0, **ended: Any) -> Container:
    last = {"lastState": {"terminated": ended}} if ended else {}
    return {"state": {"waiting": {"reason": why, "message": message}}, "restartCount": restarts, **last}


@pytest.mark.parametrize(
    ("container", "detail", "dead", "last"),
    [
        (waiting("ErrImagePull", "a: not found"), "its image cannot be pulled: a: not found", True, None),
        (waiting("ImagePullBackOff", "i/o timeout"), "its image cannot be pulled: i/o timeout", False, None),
        (waiting("CreateContainerConfigError", "secret a"), "it cannot be started: secret a", False, None),
        (waiting("CrashLoopBackOff", "", 1, exitCode=3), "it ended with exit code 3, after 1 restart", False, True),
        (waiting("CrashLoopBackOff", "", 2, exitCode=3), "it ended with exit code 3, after 2 restarts", True, True),
        (
            waiting("CrashLoopBackOff", "", 2, exitCode=137, reason="OOMKilled"),
            "it was killed because it ran out of memory, after 2 restarts", True, True,
        ),
        ({"state": {"terminated": {"exitCode": 1}}, "restartCount": 0}, "it ended with exit code 1", False, False),
    ],
)  # fmt: skip
def test_a_container_that_does_not_run_says_why(
    container: Container, detail: str, dead: bool, last: bool | None
) -> None:
    assert read_trouble({"status": {"containerStatuses": [container]}}) == Trouble(detail, dead, last)


@pytest.mark.parametrize("container", [waiting("ContainerCreating"), {"state": {"running": {}}, "restartCount": 0}])
def test_a_container_that_comes_up_is_no_trouble(container: Container) -> None:
    assert read_trouble({"status": {"containerStatuses": [container]}}) is None


def test_one_restart_long_ago_is_no_trouble() -> None:
    once = {"state": {"running": {}}, "restartCount": 3, "ready": True, "lastState": {"terminated": {"exitCode": 1}}}
    assert read_trouble({"status": {"containerStatuses": [once]}}) is None


def test_what_no_node_takes_is_waited_for_in_the_schedulers_words() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no GPU"}
    assert read_trouble({"status": {"conditions": [condition]}}) == Trouble("no node takes it: 0/3 nodes: no GPU")
