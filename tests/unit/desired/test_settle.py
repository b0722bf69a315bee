"""When a pin is out of date, what is said of it, and what stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.desired.lockfile import read_lock, write_lock
from infctl.desired.settle import refuse, settle
from infctl.diagnostics import InfctlError
from infctl.engines.pin import Pin
from tests.tiny_gguf import write_tiny_gguf
from tests.unit.desired.stacks import decided, stack_of

PIN = Pin("llama.cpp", "2026.10", "file:m.gguf", "ab" * 32, 100, "Q8_0", "i1")
KEY = ("chat", "here")


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (replace(PIN, model_uri="file:n.gguf", inputs="i2"), "uri file:m.gguf → file:n.gguf"),
        (replace(PIN, model_sha256="cd" * 32), "file:m.gguf has other contents"),
        (replace(PIN, model_sha256="cd" * 32, quantization="F16"), "quantization Q8_0 → F16"),
        (replace(PIN, inputs="i2"), "its task or image is another"),
        (Pin("custom", inputs="i2"), "engine llama.cpp → custom, uri file:m.gguf → none, quantization Q8_0 → none"),
        (
            replace(PIN, model_sha256="cd" * 32, engine_version="2026.12"),
            "file:m.gguf has other contents, llama.cpp 2026.10 → 2026.12",
        ),
    ],
)
def test_a_pin_is_renewed_when_what_it_was_decided_from_changes(now: Pin, why: str) -> None:
    settled = settle({KEY: PIN}, {KEY: now})
    (change,) = settled.changes
    assert (change.why, change.before, change.after) == (why, PIN, now)
    assert settled.pins == {KEY: now}


def test_a_newer_engine_waits_for_an_upgrade() -> None:
    newer = replace(PIN, engine_version="2026.12")
    kept = settle({KEY: PIN}, {KEY: newer})
    assert (kept.pins, kept.changes) == ({KEY: PIN}, ())
    taken = settle({KEY: PIN}, {KEY: newer}, upgrade=True)
    assert taken.pins == {KEY: newer}
    assert [change.why for change in taken.changes] == ["llama.cpp 2026.10 → 2026.12"]


def test_an_upgrade_with_nothing_newer_changes_nothing() -> None:
    assert settle({KEY: PIN}, {KEY: PIN}, upgrade=True).changes == ()


def test_a_new_model_is_pinned_and_one_that_left_is_dropped() -> None:
    settled = settle({("gone", "here"): PIN, KEY: PIN}, {KEY: PIN, ("new", "here"): PIN})
    assert set(settled.pins) == {KEY, ("new", "here")}
    assert [(change.model, change.why) for change in settled.changes] == [("new", "not pinned yet")]


def test_a_renamed_model_keeps_its_pin() -> None:
    settled = settle({("old", "here"): PIN}, {KEY: replace(PIN, engine_version="9")}, renamed={"chat": "old"})
    assert (settled.pins, settled.changes) == ({KEY: PIN}, ())


def test_a_lock_of_one_model_leaves_the_others() -> None:
    changed = replace(PIN, model_sha256="cd" * 32)
    decided_now = {KEY: changed, ("other", "here"): changed, ("new", "here"): changed}
    settled = settle({KEY: PIN, ("other", "here"): PIN}, decided_now, only={"chat"})
    assert settled.pins == {KEY: changed, ("other", "here"): PIN}
    assert [change.model for change in settled.changes] == ["chat"]


def test_nobody_there_to_agree_is_an_error_that_names_the_command() -> None:
    settled = settle({}, {KEY: PIN})
    with pytest.raises(InfctlError) as caught:
        refuse(settled)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.path) == ("lock-out-of-date", "models.chat")
    assert problem.summary == "inference.lock.yaml is out of date for chat on here"
    assert (problem.detail, problem.hint) == ("not pinned yet", "run: infctl lock chat")
    refuse(settle({KEY: PIN}, {KEY: PIN}))


def test_many_are_told_as_a_few_and_a_number() -> None:
    settled = settle({}, {(f"m{n}", "here"): PIN for n in range(500)})
    with pytest.raises(InfctlError) as caught:
        refuse(settled)
    assert len(caught.value.diagnostics) == 11
    assert caught.value.diagnostics[-1].summary == "inference.lock.yaml is out of date for 490 more"


@pytest.mark.parametrize(
    ("after", "outdated"),
    [
        ("{uri: 'file:m.gguf', replicas: 3, max_model_len: 64, engine_args: {threads: 2}, env: {A: b}}", False),
        ("{uri: 'file:m.gguf', expose: {port: 9000}, tags: {a: b}, timeouts: {ready: 1m}, protect: true}", False),
        ("{uri: 'file:m.gguf', engine: llama.cpp}", False),
        ("{uri: 'file:m.gguf', task: embed}", True),
        ("{uri: 'file:m.gguf', quantization: none}", True),
        ("{uri: 'file:./m.gguf'}", True),
        ("{uri: 'file:m.gguf', command: [serve]}", True),
    ],
)
def test_only_what_is_pinned_makes_a_pin_out_of_date(tmp_path: Path, after: str, *, outdated: bool) -> None:
    before = decided(stack_of(tmp_path, "chat: {uri: 'file:m.gguf'}")).pins
    assert bool(settle(before, decided(stack_of(tmp_path, f"chat: {after}")).pins).changes) == outdated


def test_a_model_swapped_under_its_name_is_noticed_through_the_file(tmp_path: Path) -> None:
    stack, lock = stack_of(tmp_path, "chat: {uri: 'file:m.gguf'}"), tmp_path / "inference.lock.yaml"
    write_lock(lock, settle({}, decided(stack).pins).pins)
    assert settle(read_lock(lock), decided(stack).pins).changes == ()
    write_tiny_gguf(tmp_path / "m.gguf", seed=1)
    (change,) = settle(read_lock(lock), decided(stack).pins).changes
    assert change.why == "file:m.gguf has other contents"
