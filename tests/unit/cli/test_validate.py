"""`validate` and `schema`: what is wrong with a file, for people, for programs and for editors."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from infctl.ops.init import stacks
from tests.shell import Shell


def test_a_right_file_says_so_and_leaves_nothing_behind(shell: Shell) -> None:
    done = shell("validate")
    assert (done.code, done.out, done.err) == (0, "Success! The configuration is valid.\n", "")
    assert json.loads(shell("validate", "-json").out) == {
        "format_version": "1.0",
        "valid": True,
        "error_count": 0,
        "warning_count": 0,
        "diagnostics": [],
    }
    assert sorted(path.name for path in shell.folder.iterdir()) == ["inference.yaml", "m.gguf"]


def test_every_problem_is_told_at_once(shell: Shell) -> None:
    shell.write("chat: {uri: 'file:m.gguf', replica: 2}\nembed: {uri: 'file:m.gguf', task: embde}")
    done = shell("validate")
    assert done.code == 1
    assert done.out == ""
    assert "inference.yaml:5:30  models.chat.replica" in done.err
    assert "models.embed.task" in done.err
    assert done.err.endswith("2 errors found.\n")


@pytest.mark.parametrize("uri", ["file:m.gguf", "file:nowhere.gguf"])
def test_what_an_engine_does_not_take_is_told_with_its_line_even_without_the_model_file(shell: Shell, uri: str) -> None:
    shell.write(f"chat: {{uri: '{uri}', engine_args: {{thread: 1, batch_size: lots}}, task: embed}}")
    for done in (shell("validate"), shell("plan")):
        assert done.code == 1
        assert "inference.yaml:5:" in done.err
        assert 'did you mean "threads"?' in done.err
        assert "models.chat.engine_args.batch_size" in done.err
        assert "must be a whole number" in done.err
    assert shell("validate").err.endswith("2 errors found.\n")


def test_programs_get_terraforms_shape(shell: Shell) -> None:
    shell.write("chat: {uri: 'file:m.gguf', replica: 2}")
    done = shell("validate", "-json")
    view = json.loads(done.out)
    assert (done.code, done.err, view["valid"], view["error_count"]) == (1, "", False, 1)
    (told,) = view["diagnostics"]
    assert (told["severity"], told["infctl"]["code"]) == ("error", "unknown-field")
    assert told["range"]["filename"] == "inference.yaml"
    assert told["range"]["start"] == {"line": 5, "column": 30}
    assert told["infctl"]["hint"] == 'did you mean "replicas"?'


def test_variables_and_files_are_chosen_as_for_plan(shell: Shell) -> None:
    (shell.folder / "other.yaml").write_text(
        "apiVersion: infctl/v1\nname: acme\ntargets: {here: {type: memory}}\n"
        "variables: {n: {type: integer}}\nmodels: {chat: {uri: 'file:m.gguf', replicas: '${var.n}'}}\n"
    )
    assert shell("validate", "-file=other.yaml", "-var=n=2").code == 0
    assert shell("validate", "-file=other.yaml").code == 1
    assert shell("validate", "-file=nowhere.yaml").code == 1


@pytest.mark.parametrize("name", stacks())
def test_the_schema_takes_every_stack_that_comes_with_infctl(shell: Shell, name: str) -> None:
    schema = json.loads(shell("schema").out)
    checker = jsonschema.Draft202012Validator(schema)
    stack = yaml.safe_load((stacks()[name] / "inference.yaml").read_text())
    assert not list(checker.iter_errors(stack))
    assert [wrong.path[0] for wrong in checker.iter_errors({**stack, "models": {"x": {"replica": 1}}})] == ["models"]
