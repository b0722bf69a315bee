"""The line to paste after an apply asks for a name that the address answers to."""

from __future__ import annotations

from tests.shell import Shell

CHAT = "chat: {engine: custom, command: [serve], task: generate, served_names: [zz, gpt]}"


def test_the_line_to_paste_names_what_is_served(shell: Shell) -> None:
    shell.write(CHAT)
    assert '"model":"zz"' in shell("apply", "-auto-approve").out
