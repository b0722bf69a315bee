"""A stack that is kept is the stack that would be read, and is kept no longer than that is so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from infctl.provider import registry
from infctl.spec import kept
from infctl.spec import plain as plain_form
from infctl.spec.assemble import load_stack
from infctl.spec.kept import FILE, load_kept
from infctl.spec.model import Model
from infctl.spec.parts import Part
from infctl.spec.plain import stack_to_plain
from infctl.spec.stack import Inputs, Stack, Target
from infctl.spec.types import InstalledTypes

TEXT = """\
apiVersion: infctl/v1
name: shop
requires: ">=0.1"
variables:
  context: {type: integer, default: 2048}
  owner: {type: string, default: nobody}
  labels: {type: map, default: {}}
secrets:
  token: {command: [cat, "a b"]}
  other: {env: OTHER}
targets:
  here: {type: local, memory: 8GB, ports: [21000, 21999]}
models:
  chat:
    uri: file:m.gguf
    max_model_len: ${var.context}
    owner: ${var.owner}
    engine_args: {lora: [a, [b, 1.5, null, true]], "$tuple": [1], map: {"$ref": x}}
    env: {A: text, B: secret://token, C: {secret: other, as: env}}
    replicas: {min: 2}
    warmup: {requests: 3}
    timeouts: {ready: 90s}
    tags: {team: search}
    served_names: [chat, gpt]
  twin: {like: chat, served_names: [twin]}
  embed: {uri: file:m.gguf, task: embed, expose: {port: 8080}, protect: true}
moved: [{from: talk, to: chat}]
"""


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    (tmp_path / ".infctl").mkdir()
    (tmp_path / "inference.yaml").write_text(TEXT)
    return Inputs(tmp_path)


def load(inputs: Inputs) -> Stack:
    return load_kept(inputs, inputs.root / ".infctl" / "cache", lambda: load_stack(inputs, InstalledTypes()))


def was_kept(stack: Stack) -> bool:
    return all(target.config is None for target in stack.targets.values())


def plain(value: Any) -> Any:
    """Return a value with every mapping of the language as a plain one, and what each value's type is."""
    if isinstance(value, (Part, plain_form._Part)):
        return {key: plain(inner) for key, inner in vars(value).items()}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return type(value), [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def everything(stack: Stack) -> dict[str, Any]:
    names = ("name", "requires", "root", "files", "secrets", "state", "moved", "warnings")
    models = {
        name: {key: plain(getattr(model, key)) for key in Model.model_fields} for name, model in stack.models.items()
    }
    targets = {name: (target.name, target.type, target.values) for name, target in stack.targets.items()}
    return {"models": models, "targets": targets, **{name: getattr(stack, name) for name in names}}


def test_a_kept_stack_says_what_a_read_one_says(inputs: Inputs) -> None:
    read, again = load(inputs), load(inputs)
    assert not was_kept(read)
    assert was_kept(again)
    assert everything(again) == everything(read) == everything(load_stack(inputs, InstalledTypes()))
    assert list(again.models) == list(read.models)
    twins = {again.models[name].timeouts for name in ("chat", "twin")}
    assert len(twins) == 1  # equal and hashable, as those that are read
    assert again.models["embed"].timeouts not in twins


def test_what_is_wrong_later_still_has_its_line(inputs: Inputs) -> None:
    read, again = load(inputs), load(inputs)
    for path in ("models.chat.replicas", "models.twin.tags.team", "models.nobody", "targets.here.type", "name"):
        assert again.locate(path) == read.locate(path)
        assert again.locate(path, at_key=True) == read.locate(path, at_key=True)
    assert again.locate("models.chat.replicas") is not None
    later = load(inputs)
    (inputs.root / "inference.yaml").write_text("models: [")
    assert later.locate("name") is None  # no line is better than a wrong one


def write(name: str, text: str) -> Callable[[Inputs], Inputs]:
    def change(inputs: Inputs) -> Inputs:
        (inputs.root / name).write_text(text)
        return inputs

    return change


CHANGES: dict[str, Callable[[Inputs], Inputs]] = {
    "the file": write("inference.yaml", TEXT.replace("requests: 3", "requests: 4")),
    "the file, of the same length": write("inference.yaml", TEXT.replace("8080", "8081")),
    "a variable": lambda inputs: replace(inputs, variables={"context": "1024"}),
    "another variable": lambda inputs: replace(inputs, variables={"owner": "2048"}),
    "the environment": lambda inputs: replace(inputs, env={"INFCTL_VAR_context": "1024"}),
    "a variable file": lambda inputs: write("a.yaml", "context: 1024\n")(replace(inputs, var_files=(Path("a.yaml"),))),
    "the folder": lambda inputs: write("b.yaml", "models: {more: {uri: file:m.gguf}}\n")(
        replace(inputs, files=(Path(),))
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_changes_is_read_anew(inputs: Inputs, change: Callable[[Inputs], Inputs]) -> None:
    assert not was_kept(load(inputs))
    changed = change(inputs)
    stack = load(changed)
    assert not was_kept(stack)
    assert everything(stack) == everything(load(changed)) == everything(load_stack(changed, InstalledTypes()))
    assert was_kept(load(changed))


def test_a_variable_file_counts_by_what_it_says_and_where_it_stands(inputs: Inputs) -> None:
    for name, number in (("a.yaml", 1), ("b.yaml", 2)):
        (inputs.root / name).write_text(f"context: {number}\n")
    seen = []
    for files in (("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")):
        asked = replace(inputs, var_files=tuple(map(Path, files)))
        seen.append((was_kept(load(asked)), was_kept(again := load(asked)), again.models["chat"].max_model_len))
    assert seen == [(False, True, 2), (False, True, 1)]
    (inputs.root / "a.yaml").write_text("context: 7\n")
    assert not was_kept(changed := load(asked))
    assert changed.models["chat"].max_model_len == 7


def test_what_does_not_count_does_not_cost(inputs: Inputs) -> None:
    load(inputs)
    os.utime(inputs.root / "inference.yaml", ns=(1, 1))
    (inputs.root / "unrelated.txt").write_text("x")
    assert was_kept(load(replace(inputs, env={"HOME": "/elsewhere", "INFCTL_LEASE": "3"})))


TOUCHED = """
import os, sys
from pathlib import Path
import infctl, infctl_local
from infctl.spec.assemble import load_stack
from infctl.spec.kept import load_kept
from infctl.spec.stack import Inputs
from infctl.spec.types import InstalledTypes

root, file = Path(sys.argv[1]), Path(sys.argv[2])
assert infctl.__file__.startswith(sys.argv[3]) and infctl_local.__file__.startswith(sys.argv[3])
inputs = Inputs(root)
cache = root / ".infctl" / "cache"
read = lambda: load_stack(inputs, InstalledTypes())
kept = lambda: all(target.config is None for target in load_kept(inputs, cache, read).targets.values())
before = [kept(), kept()]
os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000))
print(before, kept())
"""


@pytest.mark.parametrize("file", ["infctl/spec/kept.py", "infctl_local/provider.py"])
def test_other_code_reads_anew(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory, file: str) -> None:
    copy = tmp_path_factory.mktemp("code")  # of its own: other tests read what is installed
    local = Path(sys.modules[registry.load("local").__module__].__file__ or "").parent
    for package in (Path(kept.__file__).parents[1], local):
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    argv = [sys.executable, "-P", "-c", TOUCHED, str(inputs.root), str(copy / file), str(copy)]
    env = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "[False, True] False\n", done.stderr


def test_a_damaged_or_foreign_one_is_no_stack(inputs: Inputs) -> None:
    read = everything(load(inputs))
    file = inputs.root / ".infctl" / "cache" / FILE
    whole = file.read_bytes()
    torn = [whole[:at] for at in range(0, len(whole), 97)]
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole), 97)]
    for damaged in (*torn, *flipped, b"\n", b"{}", b"\0" * 100, b"[" * 100_000):
        file.write_bytes(damaged)
        found = load(inputs)
        assert not was_kept(found)
        assert everything(found) == read
        assert file.read_bytes() == whole  # and it is mended


def test_it_is_private_and_makes_no_home_for_itself(inputs: Inputs) -> None:
    load(inputs)
    folder = inputs.root / ".infctl" / "cache"
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE]
    elsewhere = inputs.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "inference.yaml").write_text(TEXT)
    load(Inputs(elsewhere))
    assert [path.name for path in elsewhere.iterdir()] == ["inference.yaml"]


def test_a_stack_with_a_warning_is_not_kept(inputs: Inputs) -> None:
    (inputs.root / "a.yaml").write_text("unknown: 1\n")
    asked = replace(inputs, var_files=(Path("a.yaml"),))
    assert load(asked).warnings
    assert load(asked).warnings


def test_a_pipe_is_read_but_once(inputs: Inputs) -> None:
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    try:
        stack = load(replace(inputs, files=(Path(f"/dev/fd/{reading}"),)))
    finally:
        os.close(reading)
    assert list(stack.models) == ["chat", "twin", "embed"]


def test_mappings_of_the_language_are_fields_and_nothing_else() -> None:
    """A kept stack has their fields only: whoever gives one a method must keep it there too."""
    parts = [*Part.__subclasses__()]
    for part in parts:
        parts += part.__subclasses__()
        own = {name for name, value in vars(part).items() if isinstance(value, property) or type(value) is type(load)}
        assert not {name for name in own if not name.startswith(("__", "_"))}, part


def test_what_is_read_beside_the_files_counts_too(inputs: Inputs) -> None:
    lock = inputs.root / "inference.lock.yaml"

    def again() -> Stack:
        cache = inputs.root / ".infctl" / "cache"
        return load_kept(inputs, cache, lambda: load_stack(inputs, InstalledTypes()), beside=(lock,))

    assert not was_kept(again())
    assert was_kept(again())
    for text in ("a", "b"):
        lock.write_text(text)
        assert not was_kept(again())
        assert was_kept(again())


def test_a_target_that_plain_values_do_not_say_is_not_kept(inputs: Inputs) -> None:
    """Not every provider's model takes back what it gives away."""

    class Sealed(BaseModel):
        login: str

        @field_validator("login")
        @classmethod
        def _seal(cls, login: str) -> str:
            if login.startswith("sealed"):
                raise ValueError("sealed already")
            return f"sealed {login}"

    stack = load_stack(inputs, InstalledTypes())
    config = Sealed(login="me")
    odd = replace(stack, targets={"here": Target("here", "local", config.model_dump(mode="json"), config)})
    stack_to_plain(stack)
    with pytest.raises(ValueError, match="sealed already"):
        stack_to_plain(odd)
    cache = inputs.root / ".infctl" / "cache"
    assert load_kept(inputs, cache, lambda: odd) is odd
    assert load_kept(inputs, cache, lambda: odd) is odd
