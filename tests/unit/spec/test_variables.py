"""Who sets a variable, which one wins, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs
from tests.fakes.target_types import FakeTypes
from tests.unit.spec.files import HEAD, failure

TEXT = """\
variables:
  owner: {default: nobody}
  n: {type: integer, default: 1}
  limits: {type: map, default: {}}
  names: {type: list, default: [a]}
  safe: {type: boolean, default: false}
models:
  chat:
    uri: file:a.gguf
    owner: ${var.owner}
    replicas: ${var.n}
    timeouts: ${var.limits}
    served_names: ${var.names}
    protect: ${var.safe}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inference.yaml").write_text(HEAD + TEXT)
    return tmp_path


def test_the_later_wins(folder: Path) -> None:
    (folder / "one.yaml").write_text("owner: one\nn: 2\n")
    (folder / "two.json").write_text('{"owner": "two"}')
    env = {"INFCTL_VAR_owner": "env", "INFCTL_VAR_n": "5", "INFCTL_VAR_safe": "true", "INFCTL_VAR_other": "x"}
    one, two = Path("one.yaml"), Path("two.json")

    def owner(**given: object) -> tuple[str | None, int, bool]:
        model = load_stack(Inputs(folder, **given), FakeTypes()).models["chat"]  # type: ignore[arg-type]
        return model.owner, model.replicas.min, model.protect

    assert owner() == ("nobody", 1, False)
    assert owner(env=env) == ("env", 5, True)
    assert owner(env=env, var_files=(one,)) == ("one", 2, True)
    assert owner(env=env, var_files=(one, two)) == ("two", 2, True)
    assert owner(env=env, var_files=(two, one)) == ("one", 2, True)
    assert owner(env=env, var_files=(one, two), variables={"owner": "me", "n": "7"}) == ("me", 7, True)


def test_text_is_read_as_the_type_says(folder: Path) -> None:
    given = {"owner": "42", "limits": "{pull: 5m}", "names": '["x", y]', "safe": "true", "n": " 3 "}
    model = load_stack(Inputs(folder, variables=given), FakeTypes()).models["chat"]
    assert (model.owner, model.timeouts.pull, model.served_names) == ("42", 300.0, ("x", "y"))
    assert (model.protect, model.replicas.min) == (True, 3)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("n", "many", '-var n: "many" is not a whole number'),
        ("n", "1.5", '-var n: "1.5" is not a whole number'),
        ("n", "9" * 30, f'-var n: "{"9" * 30}" is not a whole number'),
        ("safe", "yes", '-var safe: "yes" is not true or false'),
        ("names", "a, b", '-var names: "a, b" is not a list'),
        ("names", "[a", '-var names: "[a" is not a list'),
        ("limits", "[a]", '-var limits: "[a]" is not a mapping'),
    ],
)
def test_a_text_of_another_type_is_told(folder: Path, name: str, text: str, said: str) -> None:
    (found,) = failure(Inputs(folder, variables={name: text}))
    assert (found.code, found.detail, found.path) == ("bad-variable", said, f"variables.{name}")
    assert found.span is not None


def test_a_file_has_to_give_the_type_itself(folder: Path) -> None:
    (folder / "v.yaml").write_text('n: "2"\nowner: 5\n')
    found = failure(Inputs(folder, var_files=(Path("v.yaml"),)))
    assert [each.detail for each in found] == ["v.yaml: 5 is not a text", 'v.yaml: "2" is not a whole number']


def test_an_undeclared_name_is_an_error_by_hand_and_a_warning_in_a_file(folder: Path) -> None:
    (folder / "v.yaml").write_text("# shared\nownr: me\n")
    stack = load_stack(Inputs(folder, var_files=(Path("v.yaml"),)), FakeTypes())
    assert [(each.code, each.hint, str(each.span)) for each in stack.warnings] == [
        ("unknown-variable", 'did you mean "owner"?', "v.yaml:2:1")
    ]
    (found,) = failure(Inputs(folder, variables={"ownr": "me"}))
    assert (found.code, found.summary) == ("unknown-variable", '"ownr" is set by -var, but not declared')


def test_a_broken_or_missing_file_is_told(folder: Path) -> None:
    (folder / "v.yaml").write_text("n: [\n")
    found = failure(Inputs(folder, var_files=(Path("v.yaml"), Path("gone.yaml"))))
    assert [(each.code, str(each.span)) for each in found] == [
        ("file-unreadable", "None"),
        ("yaml-syntax", "v.yaml:2:1"),
    ]


def test_a_value_is_never_read_for_references(folder: Path) -> None:
    stack = load_stack(Inputs(folder, variables={"owner": "${var.n}"}), FakeTypes())
    assert stack.models["chat"].owner == "${var.n}"


def test_a_missing_one_says_every_way_to_set_it(tmp_path: Path) -> None:
    (tmp_path / "inference.yaml").write_text(f"{HEAD}variables: {{region: {{description: where}}}}\n")
    (found,) = failure(Inputs(tmp_path))
    assert (found.code, found.path) == ("missing-variable", "variables.region")
    assert found.hint == (
        "-var 'region=…', or a line `region: …` in a file for -var-file, or export INFCTL_VAR_region=…"
    )


def test_a_default_of_null_makes_a_variable_optional(tmp_path: Path) -> None:
    text = 'variables: {owner: {default: null}}\nmodels: {chat: {uri: file:a, owner: "${var.owner}"}}\n'
    (tmp_path / "inference.yaml").write_text(HEAD + text)
    assert load_stack(Inputs(tmp_path), FakeTypes()).models["chat"].owner is None
