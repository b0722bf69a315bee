"""The command line as a whole: what is understood, what is refused, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infctl.cli.failure import explain
from infctl.cli.main import COMMANDS
from infctl.cli.terminal import Terminal
from infctl.secrets import Secret
from tests.shell import FAKES, Shell


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("plna", 'did you mean "plan"?'),
        ("nothing-like-it", "see: infctl -help"),
        ("plan -ouf=x", 'did you mean "-out"?'),
        ("plan -refresh=maybe", "-refresh takes true or false"),
        ("plan -parallelism=0", "-parallelism"),
        ("plan -lock-timeout=soon", "write 30s, 5m or 1h"),
        ("plan surplus", "unexpected extra argument"),
        ("plan -var=x", "-var takes NAME=VALUE"),
        ("plan -destroy -refresh-only", "exclude each other"),
        ("plan -out", "-out"),
        ("plan -target=chat", "if chat is a model, write model.chat"),
        ("plan -target=model.chta", 'did you mean "model.chat"?'),
        ("plan -replace=fake_process.caht", 'did you mean "fake_process.chat'),
        ("-chdir=nowhere plan", "-chdir=nowhere: No such file"),
        ("show nowhere.plan", "cannot be read"),
        ("rollback chat", "no record of a revision before"),
        ("restart nobody", "no model 'nobody'"),
        ("logs nobody", "There is no state"),
        ("output", "There is no state"),
        ("status", "There is no state"),
        ("drift", "There is no state"),
        ("output -raw", "-raw takes one NAME"),
    ],
)
def test_a_mistake_exits_1_and_says_what_to_do(shell: Shell, typed: str, said: str) -> None:
    done = shell(*typed.split(), *(["-auto-approve"] if typed.startswith(("rollback", "restart")) else []))
    assert done.code == 1
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert done.err.startswith("error[")


@pytest.mark.parametrize("typed", ["apply", "destroy", "rollback chat", "restart chat"])
@pytest.mark.parametrize("flag", ["", "-input=false", "-json"])
def test_what_needs_a_yes_is_refused_before_any_work(shell: Shell, typed: str, flag: str) -> None:
    (shell.folder / "inference.yaml").write_text("not: [valid")  # nobody gets to read it
    done = shell(*typed.split(), *flag.split())
    assert done.code == 1
    assert "error[not-approved]" in done.err
    assert not (shell.folder / ".infctl").exists()


def test_exit_codes_of_plan_say_whether_something_changes(shell: Shell) -> None:
    assert shell("plan").code == 0
    assert shell("plan", "-detailed-exitcode").code == 2
    assert shell("apply", "-auto-approve").code == 0
    assert shell("plan", "-detailed-exitcode").code == 0
    assert shell("drift", "-detailed-exitcode").code == 0
    (shell.folder / "inference.yaml").write_text("models: nonsense")
    assert shell("plan", "-detailed-exitcode").code == 1


def test_boolean_flags_take_words_as_go_does(shell: Shell) -> None:
    assert shell("plan", "-json=false").out.startswith("here  ")
    assert shell("plan", "-json=true").out.startswith("{")
    assert shell("plan", "--json").out.startswith("{")


def test_the_environment_adds_flags(shell: Shell) -> None:
    shell.env["INFCTL_CLI_ARGS_plan"] = "-json"
    assert shell("plan").out.startswith("{")
    assert not shell("version").out.startswith("{")


def test_in_ci_a_lock_file_that_is_missing_is_an_error_that_names_the_command(shell: Shell) -> None:
    shell.env["CI"] = "true"
    done = shell("plan")
    assert done.code == 1
    assert "error[lock-out-of-date]" in done.err
    assert "infctl lock chat" in done.err
    assert not (shell.folder / "inference.lock.yaml").exists()


def test_plan_and_state_files_are_for_their_owner_only(shell: Shell) -> None:
    shell("plan", "-out=p")
    shell("apply", "p")
    for path in (shell.folder / "p", shell.folder / ".infctl" / "default" / "state.json"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_plan_file_is_done_without_asking_and_only_once(shell: Shell) -> None:
    assert "infctl apply p" in shell("plan", "-out=p").last
    done = shell("apply", "p")
    assert (done.code, "Apply complete!" in done.out) == (0, True)
    again = shell("apply", "p")
    assert again.code == 1
    assert "error[plan-stale]" in again.err
    assert "-target belongs to `infctl plan`" in shell("apply", "-target=model.chat", "p").err


def test_help_names_every_command_and_flags_with_one_dash(shell: Shell) -> None:
    whole, plan = shell("-help"), shell("plan", "-help")
    assert whole.code == plan.code == 0
    assert "  apply " in whole.out
    assert "-detailed-exitcode" in plan.out
    assert "-refresh=false" in plan.out
    assert "--" not in plan.out
    assert shell().code == 1


def test_every_command_that_is_listed_can_be_loaded(shell: Shell) -> None:
    for name in COMMANDS:
        assert shell(name, "-help").code == 0, name


def test_version_as_a_document(shell: Shell) -> None:
    assert json.loads(shell("version", "-json").out)["providers"]
    assert shell("-version").out == shell("version").out


def test_an_unexpected_exception_becomes_one_message_and_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".infctl").mkdir()
    secret = Secret("hunter2-hunter2")
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError) as caught:
        nothing[secret.reveal()]
    assert explain(caught.value, Terminal.of({}, color=True), {}) == 1
    said = capsys.readouterr().err
    assert said.startswith("error[bug]: This is a bug in infctl")
    (crash,) = (tmp_path / ".infctl").iterdir()
    assert crash.name in said
    assert crash.stat().st_mode & 0o777 == 0o600
    assert "KeyError" in crash.read_text()
    assert "hunter2" not in crash.read_text() + said


def test_a_reader_that_leaves_stops_nothing(shell: Shell) -> None:
    """`infctl apply | head -1`: the apply goes on to its end."""
    argv = [sys.executable, "-m", "infctl.cli.main", "apply", "-auto-approve"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{FAKES.parents[1]}:{FAKES}", "HOME": str(shell.folder)}
    process = subprocess.Popen(argv, cwd=shell.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert "2/2" in shell("status").out
