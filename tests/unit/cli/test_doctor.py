"""`doctor`: what keeps a stack from working, in words, and nothing changed by looking."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from infctl.ops.stores import open_store
from tests.shell import HEAD, Shell

WELL = """\
stack        inference.yaml  ok      2 models on here
state        readable        ok      nothing was applied yet in workspace default
             writable        ok      FOLDER
             lock            ok      free
engines      llama.cpp       ok      VERSION
models       file:m.gguf     ok      a file of BYTES bytes
target.here  reachable       ok      its provider has no checks

All 7 checks ok.
"""


def rows(shell: Shell, *argv: str) -> dict[tuple[str, str], tuple[bool, str, str]]:
    view = json.loads(shell("doctor", "-json", *argv).out)
    assert view["format_version"] == "1.0"
    assert view["ok"] == all(each["ok"] for each in view["findings"])
    return {(f["about"], f["what"]): (f["ok"], f["detail"], f["hint"]) for f in view["findings"]}


def test_a_stack_that_is_well(shell: Shell) -> None:
    shell.env["COLUMNS"] = "300"  # a test's folder may be longer than a line
    done = shell("doctor")
    wanted = WELL.replace("FOLDER", str(shell.folder)).replace("VERSION", version("xllamacpp"))
    wanted = wanted.replace("BYTES", f"{(shell.folder / 'm.gguf').stat().st_size:,}")
    assert (done.code, done.out) == (0, wanted)
    assert not (shell.folder / ".infctl").exists()


def test_what_is_wrong_comes_with_its_way_out(shell: Shell) -> None:
    assert shell("apply", "-auto-approve").code == 0
    (shell.folder / ".infctl/default/state.json").write_text("{")
    shell.write("chat: {uri: 'file:m.gguf', replica: 2}")
    done = shell("doctor")
    assert done.code == 1
    found = rows(shell)
    assert not found["stack", "inference.yaml"][0]
    assert found["stack", "inference.yaml"][2] == "infctl validate shows them all"
    assert not found["state", "readable"][0]
    assert "infctl state recover" in found["state", "readable"][2]
    assert found["state", "lock"][0]
    assert "2 of 4 checks not ok." in done.out


def test_a_model_file_that_is_not_there_or_is_none_is_told_before_a_plan(shell: Shell) -> None:
    (shell.folder / "note.gguf").write_text("hello")
    shell.write("a: {uri: 'file:n.gguf'}\nb: {uri: 'file:note.gguf'}\nc: {uri: 'file:m.gguf'}")
    found = rows(shell)
    ok, detail, hint = found["models", "file:n.gguf"]
    assert (ok, detail.endswith("n.gguf cannot be read: No such file or directory")) == (False, True)
    assert "starts at the folder of inference.yaml" in hint
    assert "it is not a GGUF file" in found["models", "file:note.gguf"][1]
    assert found["models", "file:m.gguf"][0]


def test_a_stack_of_containers_needs_no_engine_here_and_errors_come_before_warnings(shell: Shell) -> None:
    head = HEAD.replace("here: {type: memory}", "rack: {type: rack}")
    shell.write("chat: {uri: 'hf://a/b', engine: tgi}", head)
    found = rows(shell)
    assert {about for about, _ in found} == {"stack", "state", "target.rack"}
    assert found["stack", "inference.yaml"][:2] == (True, "model chat on rack; 1 warning: infctl validate shows more")
    shell.write("chat: {uri: 'hf://a/b', engine: tgi, engine_args: {max_batch: 1}}", head)
    assert rows(shell)["stack", "inference.yaml"][:2] == (False, "Unknown engine argument")


def test_a_lock_that_is_held_is_told_with_its_holder(shell: Shell) -> None:
    with open_store(shell.folder, {}).lock("ops@elsewhere", "apply"):
        ok, detail, hint = rows(shell)["state", "lock"]
    assert (ok, detail.startswith("held by ops@elsewhere for apply since ")) == (False, True)
    assert "infctl force-unlock" in hint


def test_one_target_alone(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write("{}", HEAD.replace("memory", "local"))
    assert {about for about, _ in rows(shell, "here")} == {"target.here"}
    assert rows(shell, "here")["target.here", "data folder"][0]
    done = shell("doctor", "hree")
    assert done.code == 1
    assert 'did you mean "here"?' in done.err
