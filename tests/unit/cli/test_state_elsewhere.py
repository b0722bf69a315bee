"""A stack whose state is on a server: how it is found, moved, encrypted and mended, as people type it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from infctl.secrets import Secret
from infctl.spec.backends import HttpState
from infctl.state.remote.http import open_http
from infctl.state.remote.web import Web
from tests.shell import Shell
from tests.testbed.state_server import USER, StateServer
from tests.tiny_gguf import write_tiny_gguf

HERE = "apiVersion: infctl/v1\nname: acme\ntargets: {here: {type: memory}}\n"
MODEL = "chat: {uri: 'file:m.gguf', replicas: 2}"
LOCAL = f"{HERE}models:\n"
KEY, OTHER = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))


@pytest.fixture
def shell(tmp_path: Path, http_server: StateServer) -> Shell:
    write_tiny_gguf(tmp_path / "m.gguf")
    return Shell(tmp_path, {"SERVER_PASSWORD": http_server.password, "STATE_KEY": KEY, "OTHER_KEY": OTHER})


def head(server: StateServer, more: str = "") -> str:
    state = f"{{backend: http, address: '{server.address}', username: {USER}, password: secret://server{more}}}"
    return f"{HERE}secrets: {{server: {{env: SERVER_PASSWORD}}}}\nstate: {state}\nmodels:\n"


def succeed(shell: Shell, *argv: str) -> str:
    done = shell(*argv)
    assert done.code == 0, f"{argv}: {done.out}{done.err}"
    return done.out


def fail(shell: Shell, *argv: str) -> str:
    done = shell(*argv)
    assert done.code == 1, f"{argv}: {done.out}"
    return " ".join(done.err.split())


def test_state_is_found_where_the_file_is_broken_or_gone(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server))
    succeed(shell, "apply", "-auto-approve")
    remembered = (shell.folder / ".infctl/backend.json").read_text()
    assert http_server.password not in remembered
    assert json.loads(remembered)["secrets"] == {"server": {"env": "SERVER_PASSWORD"}}
    listed = succeed(shell, "state", "list")
    (shell.folder / "inference.yaml").write_text("state: [")
    assert succeed(shell, "state", "list") == listed
    assert "chat" in succeed(shell, "status")
    (shell.folder / "inference.yaml").unlink()
    assert succeed(shell, "state", "list") == listed
    succeed(shell, "destroy", "-auto-approve")


def test_a_place_that_nobody_reached_is_no_place_where_state_was_kept(shell: Shell, http_server: StateServer) -> None:
    wrong = head(http_server).replace(http_server.address, "http://127.0.0.1:9/state")
    shell.write(MODEL, wrong)
    assert "127.0.0.1:9" in fail(shell, "plan")
    shell.write(MODEL, head(http_server))
    assert "to add" in succeed(shell, "plan")


def test_a_broken_file_in_a_fresh_checkout_is_no_empty_state(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server).replace("backend: http", "backend: htp"))
    assert 'did you mean "http"' in fail(shell, "state", "list")


def test_files_that_are_named_say_where_state_is_too(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server))
    (shell.folder / "inference.yaml").rename(shell.folder / "stack.yaml")
    succeed(shell, "apply", "-auto-approve", "-file=stack.yaml")
    assert not (shell.folder / ".infctl/default/state.json").exists()
    assert "chat" in succeed(shell, "state", "list")
    assert "No changes" in succeed(shell, "plan", "-file=stack.yaml")


def test_all_workspaces_move_there_and_back(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, LOCAL)
    succeed(shell, "apply", "-auto-approve")
    succeed(shell, "workspace", "new", "blue")
    succeed(shell, "apply", "-auto-approve")
    shell.write(MODEL, head(http_server))
    assert "error[state-moved]" in fail(shell, "plan")
    moved = succeed(shell, "state", "migrate")
    assert moved.count("Copied serial") == 2
    assert "No changes" in succeed(shell, "plan")
    succeed(shell, "workspace", "select", "default")
    assert "No changes" in succeed(shell, "plan")
    shell.write(MODEL, LOCAL)
    assert "error[state-moved]" not in succeed(shell, "plan"), "the copy here is of the same lineage"


def test_a_migration_that_was_cut_short_is_run_again(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, LOCAL)
    succeed(shell, "apply", "-auto-approve")
    shell.write(MODEL, head(http_server))
    succeed(shell, "state", "migrate")
    (shell.folder / ".infctl/backend.json").unlink()  # as if it had been killed before it could note the new place
    succeed(shell, "state", "migrate")
    assert "No changes" in succeed(shell, "plan")


def test_nothing_of_an_encrypted_state_can_be_read_on_the_server(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server, ", encryption: {key: {env: STATE_KEY}}"))
    succeed(shell, "apply", "-auto-approve")
    assert "No changes" in succeed(shell, "plan")
    everything = "".join(p.read_text() for p in (shell.folder / ".infctl").rglob("*.json") if "targets" not in p.parts)
    assert KEY not in everything
    shell.env["STATE_KEY"] = OTHER
    assert "error[wrong-state-key]" in fail(shell, "plan")
    shell.env["STATE_KEY"] = "too short"
    assert "error[bad-state-key]" in fail(shell, "plan")
    shell.write(MODEL, head(http_server, ", encryption: {key: {env: NOBODY_SET_IT}}"))
    assert "NOBODY_SET_IT is not set" in fail(shell, "plan")


def test_a_key_is_changed_with_the_old_one_beside_it(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server))
    succeed(shell, "apply", "-auto-approve")
    encrypted = ", encryption: {key: {env: STATE_KEY}, previous: none}"
    shell.write(MODEL, head(http_server, encrypted))
    (shell.folder / "s").write_text(succeed(shell, "state", "pull"))
    succeed(shell, "state", "push", "s")
    changed = ", encryption: {key: {env: OTHER_KEY}, previous: {env: STATE_KEY}}"
    shell.write(MODEL, head(http_server, changed))
    (shell.folder / "s").write_text(succeed(shell, "state", "pull"))
    succeed(shell, "state", "push", "s")
    shell.write(MODEL, head(http_server, ", encryption: {key: {env: OTHER_KEY}}"))
    assert "No changes" in succeed(shell, "plan")


def test_a_lost_state_is_rebuilt_from_what_runs(shell: Shell, http_server: StateServer) -> None:
    shell.write(MODEL, head(http_server))
    succeed(shell, "apply", "-auto-approve")
    before = json.loads(succeed(shell, "state", "pull"))
    other = http_server._replace(address=f"{http_server.address}-lost")
    shell.write(MODEL, head(other))
    succeed(shell, "init", "-reconfigure")
    succeed(shell, "state", "recover", "-auto-approve")
    after = json.loads(succeed(shell, "state", "pull"))
    assert after["lineage"] == before["lineage"]
    assert {each["id"] for each in after["resources"]} == {each["id"] for each in before["resources"]}
    assert "No changes" in succeed(shell, "plan")


def test_a_server_that_is_away_is_said_with_the_way_on(shell: Shell, http_server: StateServer) -> None:
    away = http_server._replace(address="http://127.0.0.1:9/acme/prod")
    shell.write(MODEL, head(away))
    said = fail(shell, "plan")
    assert "error[state-unreadable]" in said
    assert "Connection refused" in said
    found = json.loads(shell("doctor", "-json").out)["findings"]
    (readable,) = [each for each in found if (each["about"], each["what"]) == ("state", "readable")]
    assert not readable["ok"]


@pytest.mark.parametrize("junk", [b"<html>maintenance</html>", b'{"version": 4, "resources": []}', b"\xff\xfe"])
def test_what_others_wrote_in_its_place_is_damage_and_can_be_mended(
    shell: Shell, http_server: StateServer, junk: bytes
) -> None:
    shell.write(MODEL, head(http_server))
    succeed(shell, "apply", "-auto-approve")
    succeed(shell, "state", "list")
    place = open_http(HttpState(address=http_server.address, username=USER), "default", Secret(http_server.password))
    assert place.enter("vandal", "")
    web = Web(USER, Secret(http_server.password), 10.0)
    assert web.ask("POST", http_server.address, junk, query="vandal").ok
    place.leave()
    assert "error[state-damaged]" in fail(shell, "plan")
    shell.env["INFCTL_LEASE"] = "0.3"
    succeed(shell, "state", "recover", "-auto-approve", "-lock-timeout=30s")
    assert "No changes" in succeed(shell, "plan")
