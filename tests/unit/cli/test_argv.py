"""What argv becomes before click sees it."""

from __future__ import annotations

import pytest

from infctl.cli.argv import normalise

GROUPS = frozenset({"state"})


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("plan -out=x.plan", "plan --out=x.plan"),
        ("plan -out x.plan", "plan --out x.plan"),
        ("plan --out x.plan", "plan --out x.plan"),
        ("plan -refresh=false -lock=false", "plan --refresh=false --lock=false"),
        ("plan -target=model.a -target=model.b", "plan --target=model.a --target=model.b"),
        ("plan -var a=b", "plan --var a=b"),
        ("plan -h", "plan --help"),
        ("plan -help", "plan --help"),
        ("-help", "--help"),
        ("--help", "--help"),
        ("-version", "--version"),
        ("-v", "--version"),
        ("logs chat -f -tail 5", "logs chat -f --tail 5"),
        ("logs chat -tail -5", "logs chat --tail -5"),
        ("state list -json", "state list --json"),
        ("state mv -- -a -b", "state mv -- -a -b"),
        ("", ""),
        ("show -", "show -"),
    ],
)
def test_single_dashes_become_double(typed: str, words: str) -> None:
    assert normalise(typed.split(), {}, GROUPS).words == tuple(words.split())


@pytest.mark.parametrize("typed", ["-chdir=there plan -json", "-chdir there plan -json", "--chdir=there plan -json"])
def test_chdir_is_taken_out_before_the_command(typed: str) -> None:
    call = normalise(typed.split(), {}, GROUPS)
    assert (call.words, call.chdir) == (("plan", "--json"), "there")


@pytest.mark.parametrize("typed", ["-no-color plan", "plan -no-color", "plan --no-color"])
def test_no_color_counts_anywhere(typed: str) -> None:
    call = normalise(typed.split(), {}, GROUPS)
    assert (call.words, call.color) == (("plan",), False)


def test_arguments_of_the_environment_come_before_those_typed() -> None:
    env = {"INFCTL_CLI_ARGS": "-no-color -parallelism=2", "INFCTL_CLI_ARGS_plan": "-out='my plan'"}
    call = normalise(["plan", "-json"], env, GROUPS)
    assert call.words == ("plan", "--parallelism=2", "--out=my plan", "--json")
    assert not call.color


def test_a_nested_command_has_its_own_variable() -> None:
    env = {"INFCTL_CLI_ARGS_state_list": "-json", "INFCTL_CLI_ARGS_force_unlock": "-force"}
    assert normalise(["state", "list"], env, GROUPS).words == ("state", "list", "--json")
    assert normalise(["force-unlock", "x"], env, GROUPS).words == ("force-unlock", "--force", "x")


def test_what_the_environment_says_is_not_for_help_of_the_whole() -> None:
    assert normalise(["-help"], {"INFCTL_CLI_ARGS": "-json"}, GROUPS).words == ("--help",)


def test_unbalanced_quotes_in_the_environment_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="quotation"):
        normalise(["plan"], {"INFCTL_CLI_ARGS": "'"}, GROUPS)
