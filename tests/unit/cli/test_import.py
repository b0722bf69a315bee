"""What `state rm` let go, goes on running, and `import` takes it back."""

from __future__ import annotations

import json

import pytest

from tests.shell import Shell

REPLICA = 'fake_process.chat["here/0"]'


@pytest.fixture
def applied(shell: Shell) -> Shell:
    assert shell("apply", "-auto-approve").code == 0
    return shell


def ids(shell: Shell) -> dict[str, str]:
    return {thing["address"]: thing["infctl"]["id"] for thing in json.loads(shell("state", "show", "-json").out)}


def test_what_was_forgotten_is_left_alone_and_taken_back(applied: Shell) -> None:
    before, pulled = ids(applied), json.loads(applied("state", "pull").out)
    outputs = applied("output").out
    assert applied("state", "rm", "model.chat").code == 0
    planned = applied("plan").out
    assert "destroyed" not in planned.replace("0 to destroy", "")
    assert "late write" not in planned
    for address, ident in before.items():
        if ".chat" in address:
            done = applied("import", address, ident)
            assert done.code == 0, done.err
            assert f"({ident}" in done.out
    assert applied("plan", "-detailed-exitcode").last == "No changes. What runs is what the file asks for."
    assert ids(applied) == before
    assert sorted(applied("output").out.splitlines()) == sorted(outputs.splitlines())
    after = json.loads(applied("state", "pull").out)
    assert after["released"] == []
    assert after["models"]["chat"]["revision"] == pulled["models"]["chat"]["revision"]


def test_a_name_on_the_target_will_do(applied: Shell) -> None:
    applied("state", "rm", REPLICA)
    assert "acme-chat-r1-0" in applied("import", REPLICA, "acme-chat-r1-0").out
    assert applied("plan", "-detailed-exitcode").code == 0


def test_an_unknown_id_lists_what_can_be_imported(applied: Shell) -> None:
    ident = ids(applied)[REPLICA]
    assert "state has everything there that infctl made" in applied("import", REPLICA, "nope").err
    applied("state", "rm", REPLICA)
    done = applied("import", REPLICA, "nope")
    assert done.code == 1
    assert f"infctl import '{REPLICA}' {ident}   (acme-chat-r1-0)" in done.err


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ('fake_route.chat["here"]', "it is of kind fake_process"),
        ('fake_process.chat["there/0"]', "There is no target there"),
        ('fake_process.chat["here/1"]', "state has another object there"),
        ("chat", "if chat is a model, write model.chat"),
    ],
)
def test_an_address_that_does_not_fit_is_refused(applied: Shell, address: str, said: str) -> None:
    applied("state", "rm", REPLICA)
    serial = json.loads(applied("state", "pull").out)["serial"]
    done = applied("import", address, "acme-chat-r1-0")
    assert done.code == 1
    assert said in " ".join(done.err.split())
    assert json.loads(applied("state", "pull").out)["serial"] == serial


def test_what_state_has_is_not_imported_again(applied: Shell) -> None:
    done = applied("import", REPLICA, ids(applied)[REPLICA])
    assert "is in state already" in done.err
    assert f"as {REPLICA}" in done.err


def test_a_state_that_was_lost_is_recovered_not_imported_piece_by_piece(applied: Shell) -> None:
    for lost in (applied.folder / ".infctl/default").glob("state*"):
        lost.unlink()
    done = applied("import", REPLICA, "acme-chat-r1-0")
    assert done.code == 1
    assert "error[state-lost]" in done.err
    assert "infctl state recover" in done.err
