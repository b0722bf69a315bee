"""Hosts from the command line: one that is down, one that is given up, and where replicas are."""

from __future__ import annotations

import json

from tests.shell import Shell

HEAD = "apiVersion: infctl/v1\nname: acme\ntargets: {rack: {type: fleet, places: [a, b, c]%s}}\nmodels:\n"
CHAT = "chat: {uri: 'file:m.gguf', replicas: 2}"
UP, DOWN = HEAD % "", HEAD % ", down: [b]"


def hosts(shell: Shell) -> list[str]:
    found = json.loads(shell("show", "-json").out)["values"]["root_module"]["resources"]
    return sorted(each["values"]["host"] for each in found if each["type"] == "fake_process")


def test_a_host_that_is_down_stops_a_plan_and_may_be_given_up(shell: Shell) -> None:
    shell.write(CHAT, UP)
    assert shell("apply", "-auto-approve").code == 0
    assert hosts(shell) == ["a", "b"]
    shell.write(CHAT, DOWN)
    stopped = shell("plan")
    assert (stopped.code, stopped.err.count("b could not be read")) == (1, 1)
    assert "No changes" in shell("plan", "-allow-unreachable").out
    assert "error[not-lost]" in shell("plan", "-evacuate=a").err
    done = shell("apply", "-auto-approve", "-evacuate=b")
    assert done.code == 0, done.err
    assert "created on c" in done.out
    assert "1 replica given up on b will be removed" in " ".join(done.out.split())
    shell.write(CHAT, UP)
    back = shell("apply", "-auto-approve")
    assert back.code == 0, back.err
    assert "given up when its place could not be read" in " ".join(back.out.split())
    assert hosts(shell) == ["a", "c"]
    assert "No changes" in shell("plan").out


def test_a_plan_in_json_says_where_each_replica_goes(shell: Shell) -> None:
    shell.write(CHAT, UP)
    plan = shell("plan", "-out=p")
    assert plan.code == 0, plan.err
    document = json.loads(shell("show", "-json", "p").out)
    replicas = [each for each in document["resource_changes"] if each["type"] == "fake_process"]
    assert [(each["infctl"]["host"], each["infctl"]["devices"]) for each in replicas] == [("a", []), ("b", [])]
    assert [each["change"]["after"]["host"] for each in replicas] == ["a", "b"]
    assert document["infctl"]["models"]["chat"]["places"] == {"rack/a": 1, "rack/b": 1}
    assert shell("apply", "p").code == 0
