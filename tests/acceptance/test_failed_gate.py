"""A new revision that cannot run: the old one serves on, the reason is shown, and nobody tries again unasked."""

from __future__ import annotations

import sys

from tests.acceptance.stack import ONE_MODEL, Stack, complete

BROKEN = "parallel: 1, chat_template: '{% if'"  # the engine parses it at its start and ends
MUTE = f"""\
apiVersion: infctl/v1
name: acme
models:
  chat:
    engine: custom
    command: ["{sys.executable}", -c, "print('thinking', flush=True); import time; time.sleep(600)"]
    timeouts: {{ready: 1s}}
"""


def test_a_revision_that_dies_is_taken_back_and_not_tried_again_unattended(small: Stack) -> None:
    small.infctl("apply", "-auto-approve")
    url, before = small.url(), {process.pid for process in small.processes()}
    small.change("parallel: 1", BROKEN)

    failed = small.infctl("apply", "-auto-approve", "-input=false", code=1)
    assert "error[gate-failed]: Rollout of model.chat stopped at a gate" in failed
    assert "Parser Error: Unexpected EOF" in " ".join(failed.split())
    assert "Taken back: r1 serves as before." in failed
    assert "`infctl logs chat -revision 2` shows the whole log" in failed
    assert "Apply stopped. Resources: 0 added, 0 changed, 0 destroyed." in failed
    assert "Unexpected EOF" in small.infctl("logs", "chat", "-revision", "2")
    assert {process.pid for process in small.processes()} == before
    assert small.url() == url
    assert complete(url)
    assert "chat r2 failed" in small.infctl("status")

    again = small.infctl("apply", "-auto-approve", "-input=false", code=1)
    assert "error[revision-failed]" in again
    assert "-retry=chat" in again
    assert {process.pid for process in small.processes()} == before
    assert "error[gate-failed]" in small.infctl("apply", "-auto-approve", "-input=false", "-retry=chat", code=1)
    assert complete(url)

    small.write(ONE_MODEL)
    assert "No changes." in small.infctl("plan", "-detailed-exitcode")


def test_a_rollback_sets_a_hold_that_a_release_lets_go(small: Stack) -> None:
    small.infctl("apply", "-auto-approve")
    hashes = {1: small.state()["models"]["chat"]["revisions"][0]["spec_hash"]}
    small.change("512", "256")
    small.infctl("apply", "-auto-approve")
    assert "chat r1 serves" in small.infctl("rollback", "chat", "-auto-approve")
    model = small.state()["models"]["chat"]
    assert model["revision"] == 1
    assert model["hold"]["revision"] == 1
    running = [thing for thing in small.state()["resources"] if thing["revision"] and thing["spec_hash"]]
    assert {thing["spec_hash"] for thing in running} == {hashes[1]}
    assert complete(small.url())
    assert "chat is held at r1" in small.infctl("plan", "-detailed-exitcode")
    assert "No changes" in small.infctl("apply", "-auto-approve")
    assert "chat r2 serves" in small.infctl("apply", "-auto-approve", "-release=chat")
    assert "held" not in small.infctl("plan", "-detailed-exitcode")


def test_a_first_revision_that_never_answers_leaves_nothing_running(small: Stack) -> None:
    small.write(MUTE)
    failed = small.infctl("apply", "-auto-approve", code=1)
    assert "error[gate-failed]" in failed
    assert "thinking" in failed
    assert "nothing of it is left running" in failed
    names = {thing["address"] for thing in small.state()["resources"]}
    assert not any(name.startswith("local_process") for name in names)
    assert not [line for process in small.processes() if "thinking" in (line := " ".join(process.cmdline()))]
