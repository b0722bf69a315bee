"""Runs from the command line: what is said while they go on, when they fail, and when they are stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from infctl.views.style import ago
from tests.shell import FAKES, Shell

NEVER = "apiVersion: infctl/v1\nname: acme\ntargets: {here: {type: memory, answers: never}}\nmodels:\n"
DIES = NEVER.replace("never", "dies")
CHAT = "chat: {uri: 'file:m.gguf', replicas: 2, timeouts: {ready: %s}}"
LINE = {
    "type": "object",
    "required": ["@level", "@message", "@module", "@timestamp", "type"],
    "properties": {"@level": {"enum": ["info", "warn", "error"]}, "type": {"type": "string"}},
}


def lines(text: str) -> list[dict[str, object]]:
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        jsonschema.validate(each, LINE)
    return found


def test_the_last_lines_say_where_the_model_answers_and_how_to_ask_it(shell: Shell) -> None:
    done = shell("apply", "-auto-approve")
    assert "Apply complete! Resources: 6 added, 0 changed, 0 destroyed." in done.out
    url = shell("output", "-raw", "chat.url").out
    assert f"curl -sN {url}/completions" in done.out
    body = re.search(r"-d '(\{.*\})'", done.out)
    assert body is not None
    assert json.loads(body[1])["model"] == "chat"


def test_a_failed_gate_shows_the_lines_that_say_why_and_exits_1(shell: Shell) -> None:
    shell.write(CHAT % "5s", DIES)
    done = shell("apply", "-auto-approve")
    assert done.code == 1
    assert (done.out + done.err).count("out of memory") == 1
    assert "its log says: out of memory" in done.err
    assert "going back to nothing" in done.out
    assert "Apply stopped." in done.out
    assert "error[" in done.err
    assert "last_failure" in shell("status", "-json").out


def test_a_revision_that_failed_is_not_tried_again_where_nobody_is_there(shell: Shell) -> None:
    shell.write(CHAT % "5s", DIES)
    shell("apply", "-auto-approve")
    shell.env["CI"] = "1"
    again = shell("apply", "-auto-approve")
    assert (again.code, "error[revision-failed]" in again.err) == (1, True)
    assert "error[revision-failed]" not in shell("apply", "-auto-approve", "-retry=chat").err


def test_a_plan_says_that_the_same_spec_failed_before(shell: Shell) -> None:
    shell.write(CHAT % "5s", DIES)
    shell("apply", "-auto-approve")
    said = " ".join(shell("plan").out.split())
    assert re.search(r"chat r2 may fail again: r1 had the same spec, and failed at 20\S+: r1 ended before", said)
    shell.write((CHAT % "5s").replace("timeouts", "env: {A: b}, timeouts"), DIES)
    assert "may fail again" not in shell("plan").out


def test_status_tells_a_failure_only_as_long_as_what_failed_is_asked_for(shell: Shell) -> None:
    shell.write(CHAT % "5s", NEVER.replace("never", "1"))
    assert shell("apply", "-auto-approve").code == 0
    broken = (CHAT % "1s").replace("timeouts", "env: {A: b}, timeouts")
    shell.write(broken, NEVER.replace("never", "1000"))
    assert shell("apply", "-auto-approve").code == 1
    assert "chat r2 failed just now: r2 was not ready" in shell("status").out
    failure = json.loads(shell("status", "-json").out)["models"][0]["last_failure"]
    assert failure["at"].startswith("20")
    shell.write("chat: {uri: 'file:nowhere.gguf'}")
    assert "chat r2 failed" in shell("status").out
    shell.write(CHAT % "5s", NEVER.replace("never", "1"))
    assert "failed" not in shell("status").out
    assert json.loads(shell("status", "-json").out)["models"][0]["last_failure"] is None


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-01-02T11:59:30+00:00", "just now"),
        ("2026-01-02T11:48:00+00:00", "12 min ago"),
        ("2026-01-02T08:30:00+00:00", "3 hours ago"),
        ("2025-12-30T12:00:00+00:00", "3 days ago"),
    ],
)
def test_times_are_told_as_people_tell_them(at: str, said: str) -> None:
    assert ago(at, datetime(2026, 1, 2, 12, tzinfo=UTC)) == said


def test_every_line_of_json_is_an_object_in_terraforms_shape(shell: Shell) -> None:
    planned = lines(shell("plan", "-json").out)
    assert planned[0]["type"] == "version"
    assert [each["type"] for each in planned].count("planned_change") == 6
    summary = planned[-1]
    assert summary["type"] == "change_summary"
    assert summary["changes"] == {"add": 6, "change": 0, "import": 0, "remove": 0, "operation": "plan"}
    applied = lines(shell("apply", "-json", "-auto-approve").out)
    kinds = [each["type"] for each in applied]
    assert kinds.count("apply_start") == kinds.count("apply_complete") == 6
    assert kinds[-1] == "outputs"
    assert applied[-1]["outputs"] == json.loads(shell("output", "-json").out)
    hook = next(each["hook"] for each in applied if each["type"] == "apply_start")
    assert isinstance(hook, dict)
    assert hook["action"] == "create"


def test_json_into_writes_what_json_would_print_beside_the_text(shell: Shell) -> None:
    done = shell("plan", "-json-into=events.jsonl")
    assert "Plan: 6 to add" in done.out
    path = shell.folder / "events.jsonl"
    assert lines(path.read_text())[-1]["type"] == "change_summary"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_mistake_in_json_is_a_line_too(shell: Shell) -> None:
    (shell.folder / "inference.yaml").write_text("apiVersion: infctl/v1\nname: acme\nmodels: {chat: {replica: 3}}\n")
    done = shell("plan", "-json")
    assert done.code == 1
    told = [each["diagnostic"] for each in lines(done.out) if each["type"] == "diagnostic"]
    (shown,) = (each for each in told if isinstance(each, dict) and each["infctl"]["code"] == "unknown-field")
    assert shown["range"]["start"] == {"line": 3, "column": 17}
    assert done.err == ""


def start(shell: Shell, *argv: str) -> subprocess.Popen[str]:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{FAKES.parents[1]}:{FAKES}", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "infctl.cli.main", *argv], cwd=shell.folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_gentle_and_the_next_run_goes_on(shell: Shell, how: signal.Signals) -> None:
    shell.write(CHAT % "60s", NEVER)
    process = start(shell, "apply", "-auto-approve")
    assert process.stdout is not None
    for line in process.stdout:
        if "waiting for an answer" in line:
            break
    process.send_signal(how)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1, out + err
    assert f"Stopped ({how.name})" in out
    assert out.rstrip().endswith("infctl apply")
    shell.write(CHAT % "60s", NEVER.replace("never", "1"))
    assert shell("apply", "-auto-approve").code == 0
    assert "2/2" in shell("status").out
    assert "No changes." in shell("plan").out


def test_the_second_signal_stops_at_once(shell: Shell) -> None:
    shell.write(CHAT % "60s", NEVER)
    process = start(shell, "apply", "-auto-approve")
    assert process.stdout is not None
    for line in process.stdout:
        if "waiting for an answer" in line:
            break
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 1


def test_a_time_limit_is_a_gentle_stop(shell: Shell) -> None:
    shell.write(CHAT % "60s", NEVER)
    done = shell("apply", "-auto-approve", "-timeout=1s")
    assert (done.code, "Stopped (-timeout)" in done.out) == (1, True)
    assert not (shell.folder / ".infctl" / "default" / "lock.json").exists()


def test_another_run_is_waited_for_as_long_as_is_asked(shell: Shell) -> None:
    shell.write(CHAT % "60s", NEVER)
    process = start(shell, "apply", "-auto-approve")
    assert process.stdout is not None
    for line in process.stdout:
        if "waiting for an answer" in line:
            break
    refused = shell("apply", "-auto-approve", "-lock-timeout=1s")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (refused.code, "error[state-locked]" in refused.err) == (1, True)
    assert "Waiting for the lock" in refused.out


def test_destroy_works_when_the_file_is_gone(shell: Shell, tmp_path: Path) -> None:
    shell("apply", "-auto-approve")
    (tmp_path / "inference.yaml").unlink()
    done = shell("destroy", "-auto-approve")
    assert (done.code, "Destroy complete!" in done.out) == (0, True)


def test_a_protected_model_is_not_destroyed(shell: Shell) -> None:
    shell.write("chat: {uri: 'file:m.gguf', protect: true}")
    shell("apply", "-auto-approve")
    done = shell("destroy", "-auto-approve")
    assert (done.code, "error[protected]" in done.err, "inference.yaml:5:" in done.err) == (1, True, True)


def test_rollback_holds_and_release_lets_go(shell: Shell) -> None:
    shell("apply", "-auto-approve")
    shell.write("chat: {uri: 'file:m.gguf', replicas: 2, max_model_len: 512}")
    shell("apply", "-auto-approve")
    back = shell("rollback", "chat", "-auto-approve")
    assert "chat is held at r1" in back.out
    assert "will go back: r2 → r1" in back.out
    assert shell("plan", "-detailed-exitcode").code == 0
    assert "chat r2 serves" in shell("apply", "-auto-approve", "-release=chat").out
    assert "chat r1 serves" in shell("rollback", "model.chat", "-to", "r1", "-auto-approve").out
    assert "remembered" in shell("rollback", "chat", "-to", "r9", "-auto-approve").err


def test_the_graph_in_both_languages(shell: Shell) -> None:
    dot, mermaid, steps = shell("graph").out, shell("graph", "-mermaid").out, shell("graph", "-type=steps").out
    assert dot.startswith("digraph {")
    assert 'label = "model.chat"' in dot
    assert '"fake_route.chat[\\"here\\"]" -> "fake_process.chat[\\"here/0\\"]"' in dot
    assert mermaid.startswith("graph RL")
    assert "create fake_relay.here" in steps
