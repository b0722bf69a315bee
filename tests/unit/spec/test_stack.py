"""From files to a stack: what downstream layers are given, and how mistakes of different steps are told at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from infctl.diagnostics import Code, InfctlError, error
from infctl.provider.registry import PROVIDER_BROKEN
from infctl.secrets import SecretRef
from infctl.spec.assemble import load_stack
from infctl.spec.secrets import SecretSource
from infctl.spec.stack import Inputs, Move, StateConfig
from tests.fakes.target_types import BasicConfig, FakeTypes, LocalConfig
from tests.unit.spec.files import HEAD, failure, load

HELLO = Path(__file__).parents[2] / "cases" / "hello.yaml"
FULL = """\
requires: ">=0.1, <9"
variables:
  port: {type: integer, default: 8000}
secrets:
  token: {env: TOKEN}
  key: {file: ~/key}
  vault: {command: [vault, read]}
state: {backend: local}
targets:
  here: {type: local, memory: 8GB}
  there: {type: basic}
models:
  chat:
    uri: file:models/chat.gguf
    engine: llama.cpp
    engine_args: {threads: 4}
    max_model_len: 4096
    replicas: 2
    placement: {order: [here]}
    env: {A: b, TOKEN: secret://token, KEY: {secret: key, as: env}}
    expose: {port: "${var.port}", bind: 10.0.0.7}
    served_names: [chat, gpt]
    warmup: {requests: 4}
    timeouts: {pull: 30m, ready: 90s, drain: 2m}
    protect: true
    tags: {cost-center: "42"}
    owner: ml@shop.example
  own:
    engine: custom
    task: custom
    command: [python, serve.py, "{port}"]
    port: 9000
    health: /healthz
    replicas: {min: 1, max: 1}
moved: [{from: chat-old, to: chat}]
"""


def test_the_smallest_legal_file() -> None:
    stack = load_stack(Inputs(HELLO.parent, (Path("hello.yaml"),)), FakeTypes())
    model = stack.models["hello"]
    assert (stack.name, stack.files, stack.warnings) == ("hello", ("hello.yaml",), ())
    assert [(target.name, target.type, target.config) for target in stack.targets.values()] == [
        ("local", "local", LocalConfig())
    ]
    assert (model.name, model.uri, model.served_names) == ("hello", "file:models/hello.gguf", ("hello",))
    assert (model.engine, model.task, model.quantization, model.kv_cache_dtype) == ("auto", "generate", "auto", "auto")
    assert (model.replicas, model.placement.order, model.expose.port, model.expose.bind) == (
        (1, None),
        (),
        None,
        "127.0.0.1",
    )
    assert (model.timeouts.ready, model.warmup.requests, model.protect, model.command) == (None, 0, False, ())


def test_everything_that_is_served_arrives_typed(tmp_path: Path) -> None:
    stack = load(tmp_path, FULL)
    chat, own = stack.models["chat"], stack.models["own"]
    assert stack.requires == ">=0.1, <9"
    assert stack.root == tmp_path
    assert stack.state == StateConfig()
    assert stack.moved == (Move("chat-old", "chat"),)
    assert stack.secrets == {
        "token": SecretSource("token", env="TOKEN"),
        "key": SecretSource("key", file="~/key"),
        "vault": SecretSource("vault", command=("vault", "read")),
    }
    assert list(stack.targets) == ["here", "there"]
    assert stack.targets["here"].config == LocalConfig.model_validate({"memory": "8GB"})
    assert stack.targets["there"].config == BasicConfig()
    assert chat.env == {"A": "b", "TOKEN": SecretRef("token"), "KEY": SecretRef("key", "env")}
    assert (chat.timeouts.pull, chat.timeouts.ready, chat.timeouts.drain) == (1800.0, 90.0, 120.0)
    assert (chat.expose.port, chat.expose.bind, chat.served_names) == (8000, "10.0.0.7", ("chat", "gpt"))
    assert (chat.replicas, own.replicas) == ((2, 2), (1, 1))
    assert (chat.engine_args, chat.tags, chat.protect, chat.owner) == (
        {"threads": 4}, {"cost-center": "42"}, True, "ml@shop.example",
    )  # fmt: skip
    assert (own.command, own.port, own.health) == (("python", "serve.py", "{port}"), 9000, "/healthz")


def test_models_cannot_be_changed(tmp_path: Path) -> None:
    model = load(tmp_path, FULL).models["chat"]
    with pytest.raises(ValueError, match="frozen"):
        model.protect = False  # type: ignore[misc]


def test_a_folder_is_its_files_without_the_lock_file(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "a.yaml").write_text(HEAD + "models: {a: {uri: file:a}}\n")
    (tmp_path / "stack" / "b.yaml").write_text("apiVersion: infctl/v1\nmodels: {b: {uri: file:b}}\nsecrets:\n")
    (tmp_path / "stack" / "inference.lock.yaml").write_text("no: configuration\n")
    (tmp_path / "stack" / "notes.txt").write_text("not: read\n")
    (tmp_path / "more.yaml").write_text("models: {c: {uri: file:c}}\nsecrets: {s: {env: S}}\n")
    stack = load_stack(Inputs(tmp_path, (Path("stack"), Path("more.yaml"))), FakeTypes())
    assert list(stack.models) == ["a", "b", "c"]
    assert stack.files == ("stack/a.yaml", "stack/b.yaml", "more.yaml")
    assert list(stack.secrets) == ["s"]


@pytest.mark.parametrize(
    ("files", "detail", "hint"),
    [
        ((), "{root}", "rename inference.yml to inference.yaml"),
        (
            ("empty",),
            "no *.yaml file is in there",
            "Run `infctl init` for a first inference.yaml, or name a file or folder with -file.",
        ),
    ],
)
def test_no_configuration_is_told_with_the_way_to_one(
    tmp_path: Path, files: tuple[str, ...], detail: str, hint: str
) -> None:
    (tmp_path / "inference.yml").touch()
    (tmp_path / "empty").mkdir()
    (found,) = failure(Inputs(tmp_path, tuple(map(Path, files))))
    assert (found.code, found.detail, found.hint) == ("no-configuration", detail.format(root=tmp_path), hint)


def test_a_field_that_only_some_targets_serve_is_a_warning(tmp_path: Path) -> None:
    text = (
        "targets: {here: {type: local}, plain: {type: basic}, rack: {type: docker}}\nmodels:\n"
        "  chat: {uri: file:a, placement: {order: [here, plain]}, tags: {a: b}, expose: {port: 80, bind: 0.0.0.0}}\n"
    )
    kept = text.replace(", rack: {type: docker}", "")
    stack = load(tmp_path, kept)
    assert [(each.severity, each.code, each.path, each.detail) for each in stack.warnings] == [
        ("warning", "partly-served", "models.chat.tags", "ignored on plain (basic)"),
        ("warning", "partly-served", "models.chat.expose.port", "ignored on plain (basic)"),
        ("warning", "partly-served", "models.chat.expose.bind", "ignored on plain (basic)"),
    ]
    (tmp_path / "inference.yaml").write_text(HEAD + text)
    assert [each.code for each in failure(Inputs(tmp_path))].count(Code.registry["partly-served"]) == 3


def test_who_is_kept_in_targets_lives_only_there_whatever_these_serve(tmp_path: Path) -> None:
    text = (
        "targets: {here: {type: local}, plain: {type: basic}}\nmodels:\n"
        "  chat: {uri: file:a, placement: {order: [here, plain], keep_in: [plain, here]}}\n"
    )
    stack = load(tmp_path, text)
    assert stack.models["chat"].placement.keep_in == ("plain", "here")
    assert not stack.warnings


class BrokenTypes(FakeTypes):
    def config(self, type_name: str) -> type[BaseModel]:
        raise InfctlError(error(PROVIDER_BROKEN, f"{type_name} is broken"))

    def serves(self, type_name: str) -> frozenset[str]:
        raise InfctlError(error(PROVIDER_BROKEN, f"{type_name} is broken"))


def test_a_broken_provider_is_told_beside_all_else(tmp_path: Path) -> None:
    (tmp_path / "inference.yaml").write_text(HEAD + "models: {chat: {uri: file:a, replica: 2}}\n")
    with pytest.raises(InfctlError) as failed:
        load_stack(Inputs(tmp_path), BrokenTypes())
    assert [each.code for each in failed.value.diagnostics] == ["provider-broken", "unknown-field"]


MANY = {
    "wrong models": "models:\n"
    + "".join(f"  m{n}: {{replica: x, protect: maybe, max_model_len: 0, slo: {{x: 1}}}}\n" for n in range(2_000)),
    "unknown fields": "".join(f"k{n}: 1\n" for n in range(30_000)),
    "models without a uri": "models:\n" + "".join(f"  m{n}: {{}}\n" for n in range(30_000)),
    "likes that lead nowhere": "models:\n" + "".join(f"  m{n}: {{like: n{n}}}\n" for n in range(30_000)),
    "references to nothing": "variables: {a: {default: b}}\nmodels: {chat: {uri: file:a, command: ["
    + ", ".join(f'"${{var.a{n}}}"' for n in range(30_000))
    + "]}}\n",
    "targets to nowhere": "models: {chat: {uri: file:a, placement: {order: ["
    + ", ".join(f"t{n}" for n in range(30_000))
    + "]}}}\n",
}


@pytest.mark.parametrize("text", MANY.values(), ids=MANY)
def test_thousands_of_mistakes_take_seconds_and_are_not_all_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "inference.yaml").write_text(HEAD + text)
    started = time.monotonic()
    found = failure(Inputs(tmp_path))
    assert time.monotonic() - started < 60
    assert found[-1].code == "too-many-problems"
    assert len(found) <= 1_002
