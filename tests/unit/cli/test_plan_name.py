"""A stack's name is part of the names of its objects: another one over the same state is refused."""

from __future__ import annotations

from tests.shell import HEAD, Shell

CHAT = "chat: {engine: custom, command: [serve], health: /ok}"


def test_another_name_over_the_same_state_is_refused(shell: Shell) -> None:
    shell.write(CHAT)
    assert shell("apply", "-auto-approve").code == 0
    shell.write(CHAT, HEAD.replace("name: acme", "name: other"))
    done = shell("plan")
    assert done.code == 1
    assert "error[stack-renamed]: State is of the stack acme, the file says other" in done.err
    assert "inference.yaml:2:7" in done.err
