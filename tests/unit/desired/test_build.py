"""From models to wishes: what a replica runs, how it is asked, how long things may take, where it lives."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.desired.build import build, engine_warnings, ready_timeout, spares
from infctl.desired.settle import settle
from infctl.desired.wanted import Wanted
from infctl.diagnostics import InfctlError
from infctl.engines.pin import Key, Pin
from infctl.provider.values import Probe, template_hash
from infctl.secrets import SecretRef
from infctl.spec.stack import Stack
from tests.unit.desired.stacks import decided, facts_of, stack_of


def wishes(stack: Stack, now: Mapping[str, Mapping[str, Collection[int]]] | None = None) -> tuple[Wanted, ...]:
    decisions = decided(stack)
    return build(stack, decisions, settle({}, decisions.pins).pins, now or {})


def wish(root: Path, model: str) -> Wanted:
    (found,) = wishes(stack_of(root, model))
    return found


def test_the_smallest_model_becomes_a_whole_wish(tmp_path: Path) -> None:
    found = wish(tmp_path, "hello: {uri: 'file:m.gguf'}")
    file = facts_of(stack_of(tmp_path, "hello: {uri: 'file:m.gguf'}")).files["file:m.gguf", True]
    made = found.deployment
    assert (found.target, found.path, found.protect_path) == ("local", "models.hello", "")
    assert (made.model, made.revision, made.slots, made.served_names) == ("hello", 0, (0,), ("hello",))
    assert (made.bind, made.port, made.drain_timeout) == ("127.0.0.1", 0, 120.0)
    template = made.template
    assert (template.engine, template.model_uri, template.task) == ("llama.cpp", "file:m.gguf", "generate")
    assert template.model_sha256 == file.sha256
    assert template.args == {"ctx_size": 4 * 2048, "parallel": 4, "cache_ram": 0}
    assert template.probe == Probe("completions", "/v1/completions", "hello", 1)
    assert (template.metrics_path, template.command, template.port) == ("/metrics", (), 0)
    assert found.need is not None
    assert template.memory == found.need.total > file.weights
    assert found.cannot_start is None


def test_what_the_file_says_is_what_is_wanted(tmp_path: Path) -> None:
    found = wish(
        tmp_path,
        """
        chat:
          uri: file:m.gguf
          max_model_len: 512
          kv_cache_dtype: q8_0
          engine_args: {parallel: 2, threads: 3, cache_type_k: f16}
          env: {PLAIN: text}
          expose: {port: 8001, bind: 10.0.0.1}
          served_names: [chat, gpt]
          warmup: {requests: 4}
          timeouts: {ready: 5m, drain: 10s}
          protect: true
          tags: {team: x}
        """,
    )
    made = found.deployment
    assert made.template.args == {
        "ctx_size": 1024, "parallel": 2, "threads": 3, "cache_ram": 0, "cache_type_k": "f16", "cache_type_v": "q8_0",
    }  # fmt: skip
    assert made.template.env == {"PLAIN": "text"}
    assert made.template.probe.requests == 5
    assert (made.bind, made.port, made.served_names) == ("10.0.0.1", 8001, ("chat", "gpt"))
    assert (made.ready_timeout, made.drain_timeout, made.tags) == (300.0, 10.0, {"team": "x"})
    assert found.protect_path == "models.chat.protect"


@pytest.mark.parametrize(
    ("model", "probe"),
    [
        ("{uri: 'file:m.gguf', task: embed}", Probe("embeddings", "/v1/embeddings", "m", 1)),
        ("{uri: 'file:m.gguf', health: /up, warmup: {requests: 2}}", Probe("http", "/up", "", 3)),
        ("{command: [serve], task: custom, health: /healthz}", Probe("http", "/healthz")),
        ("{command: [serve], warmup: {requests: 1}}", Probe("completions", "/v1/completions", "m", 2)),
    ],
)
def test_ready_is_what_the_task_is_for(tmp_path: Path, model: str, probe: Probe) -> None:
    assert wish(tmp_path, f"m: {model}").deployment.template.probe == probe


def test_models_that_ask_the_same_are_one_revision_each_asked_by_its_own_name(tmp_path: Path) -> None:
    first, second, hot = (
        found.deployment
        for found in wishes(
            stack_of(
                tmp_path,
                """
                first: {uri: 'file:m.gguf'}
                second: {uri: 'file:m.gguf'}
                hot: {uri: 'file:m.gguf', env: {HOT: yes}}
                """,
            )
        )
    )
    assert (first.template.probe.model, second.template.probe.model) == ("first", "second")
    assert first.spec_hash == second.spec_hash != hot.spec_hash
    assert second.spec_hash == template_hash(replace(second.template))


def test_a_custom_engine_is_its_command(tmp_path: Path) -> None:
    found = wish(tmp_path, "own: {command: [python, serve.py, '{port}'], port: 9000}")
    template = found.deployment.template
    assert (template.engine, template.engine_version) == ("custom", "")
    assert (template.command, template.port, template.args) == (("python", "serve.py", "{port}"), 9000, {})
    assert (template.memory, found.need, found.cannot_start) == (0, None, None)


def test_secrets_pass_as_references(tmp_path: Path) -> None:
    secrets = "secrets: {token: {env: TOKEN}}\n"
    stack = stack_of(tmp_path, "chat: {uri: 'file:m.gguf', env: {HF: 'secret://token'}}", rest=secrets)
    (found,) = wishes(stack)
    assert found.deployment.template.env == {"HF": SecretRef("token")}


def test_the_time_to_get_ready_follows_the_size() -> None:
    pins = [Pin("llama.cpp", model_bytes=size) for size in (0, 1, 100_000_000, 40_000_000_000)]
    assert [ready_timeout(pin) for pin in pins] == [60, 61, 61, 460]
    assert [ready_timeout(pin, container=True) for pin in pins] == [60, 61, 61, 460]
    here, hub = (Pin("vllm", model_uri=uri, model_bytes=10**10) for uri in ("file:m", "hf://a/b"))
    assert [ready_timeout(pin, container=True) for pin in (here, hub)] == [60 + 100 + 540, 60 + 100 + 540 + 1000]


TWO = "targets: {here: {type: local}, there: {type: local}}\n"


def test_replicas_stay_where_they_are(tmp_path: Path) -> None:
    model = "chat: {uri: 'file:m.gguf', replicas: 3, placement: {order: [here, there]}}"
    stack = stack_of(tmp_path, model, rest=TWO)
    assert [(w.target, w.deployment.slots) for w in wishes(stack)] == [("here", (0, 1, 2))]
    found = wishes(stack, {"chat": {"there": (4,)}})
    assert [(w.target, w.deployment.slots) for w in found] == [("here", (0, 1)), ("there", (4,))]


def test_a_model_of_no_replicas_keeps_its_address(tmp_path: Path) -> None:
    assert wish(tmp_path, "chat: {uri: 'file:m.gguf', replicas: 0}").deployment.slots == ()


def test_models_that_ask_the_same_run_the_same(tmp_path: Path) -> None:
    first, second, third = wishes(
        stack_of(tmp_path, "\n".join(f"m{n}: {{uri: 'file:m.gguf', max_model_len: {n // 2 + 1}}}" for n in range(3)))
    )
    assert first.deployment.template.args == second.deployment.template.args
    assert third.deployment.template.args["ctx_size"] == 8


def test_arguments_that_only_python_takes_for_equal_are_told_apart(tmp_path: Path) -> None:
    lines = (f"m{n}: {{uri: 'file:m.gguf', engine_args: {{temp: {temp}}}}}" for n, temp in enumerate(("1", "true")))
    with pytest.raises(InfctlError) as caught:
        wishes(stack_of(tmp_path, "\n".join(lines)))
    assert [problem.path for problem in caught.value.diagnostics] == ["models.m1.engine_args.temp"]


def pinned_to(stack: Stack, version: str) -> tuple[Mapping[Key, Pin], tuple[Wanted, ...]]:
    decisions = decided(stack)
    locked = {key: replace(pin, engine_version=version) for key, pin in decisions.pins.items()}
    settled = settle(locked, decisions.pins)
    assert settled.changes == ()
    return settled.pins, build(stack, decisions, settled.pins, {})


def test_a_newer_engine_alone_changes_nothing_but_what_can_be_started(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "a: {uri: 'file:m.gguf'}\nb: {uri: 'file:m.gguf'}")
    installed = facts_of(stack).versions["llama.cpp"]
    _, found = pinned_to(stack, "2025.1")
    assert {w.deployment.template.engine_version for w in found} == {"2025.1"}
    problem = found[1].cannot_start
    assert problem is not None
    assert (problem.code, problem.path) == ("engine-not-installed", "models.b")
    assert problem.summary == "b is pinned to llama.cpp 2025.1, which is not installed"
    assert problem.detail == f"{installed} is installed"
    assert problem.hint == "run: infctl lock b -upgrade, or: pip install xllamacpp==2025.1"
    (warned,) = engine_warnings(found)
    assert (warned.severity, warned.path) == ("warning", "models.a")
    assert warned.hint.startswith("what runs goes on running")


def test_an_engine_that_is_not_there_at_all_is_named(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "a: {uri: 'file:m.gguf'}")
    decisions = replace(decided(stack), versions={})
    (found,) = build(stack, decisions, decisions.pins, {})
    assert found.cannot_start is not None
    assert found.cannot_start.detail == "xllamacpp is not installed"


def test_what_does_not_run_differently_is_no_new_revision(tmp_path: Path) -> None:
    plain = wish(tmp_path, "a: {uri: 'file:m.gguf'}")
    moved = wish(
        tmp_path,
        "a: {uri: 'file:m.gguf', replicas: 2, expose: {port: 9999}, served_names: [x], tags: {a: b}, "
        "timeouts: {ready: 1m}, protect: true}",
    )
    other = wish(tmp_path, "a: {uri: 'file:m.gguf', engine_args: {threads: 1}}")
    assert template_hash(plain.deployment.template) == template_hash(moved.deployment.template)
    assert template_hash(plain.deployment.template) != template_hash(other.deployment.template)


def test_many_models_of_one_file_cost_little(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "\n".join(f"m{n}: {{uri: 'file:m.gguf'}}" for n in range(1_000)))
    began = time.perf_counter()
    assert len(wishes(stack)) == 1_000
    assert time.perf_counter() - began < 1.0  # 0.02 s on a quiet machine


def test_what_a_model_would_run_on_each_of_its_targets_is_told_best_first(tmp_path: Path) -> None:
    targets = "targets: {one: {type: local}, two: {type: local}, three: {type: local}}\n"
    models = """
    wide: {uri: 'file:m.gguf', placement: {order: [two, one]}}
    alone: {uri: 'file:m.gguf'}
    """
    stack = stack_of(tmp_path, models, rest=targets)
    decisions = decided(stack)
    wanted = build(stack, decisions, decisions.pins, {})
    assert [(each.deployment.model, each.target) for each in wanted] == [("wide", "two"), ("alone", "one")]
    found = spares(stack, decisions, decisions.pins)
    assert [(each.target, each.deployment.model, each.deployment.slots) for each in found] == [
        ("two", "wide", ()), ("one", "wide", ()),
    ]  # fmt: skip
    assert {each.deployment.spec_hash for each in found} == {wanted[0].deployment.spec_hash}
