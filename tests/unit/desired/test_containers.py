"""Pins of targets that run containers: what is asked of registries and hubs, once, and what moves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.desired.build import build
from infctl.desired.complete import Lookups, complete
from infctl.desired.decide import Decisions, Held, decide
from infctl.desired.facts import gather
from infctl.desired.lockfile import lock_text, read_lock, write_lock
from infctl.desired.remote import Remote
from infctl.desired.settle import Settled, settle
from infctl.diagnostics import InfctlError
from infctl.engines.pin import Key, Pin
from infctl.provider.errors import ProviderError
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs, Stack
from tests.fakes.target_types import RackTypes
from tests.tiny_gguf import write_tiny_gguf
from tests.unit.desired.stacks import quiet

TARGETS = "targets: {rack: {type: rack}, here: {type: local}, shed: {type: rack}}"
CHAT = "chat: {uri: 'hf://a/b'}"


class Outside:
    """A registry and a hub: what tags and models stand for, and who asked."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.revision = "c0ffee"
        self.asked: list[str] = []
        self.down = False

    def lookups(self) -> Lookups:
        return Lookups(self._image, self._model)

    def _image(self, target: str, image: str) -> str:
        self.asked.append(f"{target} {image}")
        if self.down:
            raise ProviderError("The registry did not answer", "timed out", hint="look at the way to it")
        return f"{image.partition('@')[0].rpartition(':')[0]}@sha256:{self.tags.get(image, 'a' * 64)}"

    def _model(self, uri: str, one_file: bool, quantization: str) -> Remote:
        self.asked.append(f"{uri} {one_file} {quantization}")
        return Remote(uri, self.revision, bytes=700)


def stack_of(root: Path, models: str) -> Stack:
    if not (root / "m.gguf").exists():
        write_tiny_gguf(root / "m.gguf")
    lines = "".join(f"  {line}\n" for line in models.splitlines())
    (root / "inference.yaml").write_text(f"apiVersion: infctl/v1\nname: test\n{TARGETS}\nmodels:\n{lines}")
    return load_stack(Inputs(root), RackTypes())


def decided(stack: Stack, locked: dict[Key, Pin] | None = None, *, upgrade: bool = False) -> Decisions:
    racks = {target.name for target in stack.targets.values() if target.type == "rack"}
    return decide(stack, gather(stack, stack.root / ".cache", quiet, racks), racks, Held(locked or {}, upgrade))


def settled(stack: Stack, outside: Outside, locked: dict[Key, Pin] | None = None, *, upgrade: bool = False) -> Settled:
    found = settle(locked or {}, decided(stack, locked, upgrade=upgrade).pins, upgrade=upgrade)
    return complete(stack, found, outside.lookups())


def test_a_new_pin_has_the_digest_and_the_revision_of_today(tmp_path: Path) -> None:
    outside = Outside()
    (pin,) = settled(stack_of(tmp_path, CHAT), outside).pins.values()
    assert (pin.engine, pin.engine_version) == ("vllm", "0.33.0")
    assert pin.image == f"vllm/vllm-openai@sha256:{'a' * 64}"
    assert (pin.model_uri, pin.model_revision, pin.model_bytes) == ("hf://a/b", "c0ffee", 700)
    assert outside.asked == ["rack vllm/vllm-openai:v0.33.0", "hf://a/b False auto"]


def test_what_is_pinned_is_asked_of_nobody(tmp_path: Path) -> None:
    outside, stack = Outside(), stack_of(tmp_path, CHAT)
    locked = dict(settled(stack, outside).pins)
    outside.asked.clear()
    outside.down = True
    again = settled(stack, outside, locked)
    assert (again.pins, again.changes, outside.asked) == (locked, (), [])


def test_only_an_upgrade_moves_a_tag_or_a_revision(tmp_path: Path) -> None:
    outside, stack = Outside(), stack_of(tmp_path, CHAT)
    locked = dict(settled(stack, outside).pins)
    assert settled(stack, outside, locked, upgrade=True).changes == ()
    outside.tags["vllm/vllm-openai:v0.33.0"], outside.revision = "b" * 64, "beef"
    assert settled(stack, outside, locked).changes == ()
    (change,) = settled(stack, outside, locked, upgrade=True).changes
    assert change.why == "image aaaaaaaaaaaa → bbbbbbbbbbbb, revision c0ffee → beef"
    assert settled(stack_of(tmp_path, "chat: {uri: 'hf://a/b', tags: {a: b}}"), outside, locked).changes == ()


@pytest.mark.parametrize(
    "model", ["{uri: 'hf://a/c'}", "{uri: 'hf://a/b', engine: sglang}", "{uri: 'hf://a/b', image: 'r/v:2'}"]
)
def test_another_model_engine_or_image_asks_anew(tmp_path: Path, model: str) -> None:
    outside = Outside()
    locked = dict(settled(stack_of(tmp_path, CHAT), outside).pins)
    (change,) = settled(stack_of(tmp_path, f"chat: {model}"), outside, locked).changes
    assert change.before == locked["chat", "rack"]
    assert change.after.image.startswith(("vllm/vllm-openai@", "lmsysorg/sglang@", "r/v@"))


def test_a_digest_that_the_user_gave_is_kept_and_asked_of_nobody(tmp_path: Path) -> None:
    outside, image = Outside(), f"r.example/engine:v0.9.2@sha256:{'c' * 64}"
    (pin,) = settled(
        stack_of(tmp_path, f"chat: {{uri: 'hf://a/b', engine: vllm, image: '{image}'}}"), outside
    ).pins.values()
    assert (pin.image, pin.engine_version) == (image, "0.9.2")
    assert outside.asked == ["hf://a/b False auto"]


def test_a_model_may_live_on_this_machine_and_on_hosts(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "chat: {uri: 'file:m.gguf', placement: {order: [here, rack, shed]}, replicas: 3}")
    outside = Outside()
    pins = settled(stack, outside).pins
    here, rack, shed = (pins["chat", target] for target in ("here", "rack", "shed"))
    assert (here.image, here.model_sha256) == ("", rack.model_sha256)
    assert (rack.image, rack.engine_version) == (shed.image, "11382")
    assert outside.asked == [f"{target} ghcr.io/ggml-org/llama.cpp:server-b11382" for target in ("rack", "shed")]
    where = {"chat": {target: (slot,) for slot, target in enumerate(("here", "rack", "shed"))}}
    wishes = build(stack, decided(stack), pins, where)
    commands = {wish.target: wish.deployment.template.command for wish in wishes}
    assert commands["here"] == ()
    assert commands["rack"] == commands["shed"]
    assert commands["rack"][:2] == ("--model", "{model}")
    assert all(wish.cannot_start is None for wish in wishes if wish.target != "here")
    needs = {wish.target: wish.deployment.template.memory for wish in wishes}
    assert needs["rack"] == needs["here"] > 0


def test_flags_are_judged_by_the_version_that_is_pinned(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, "chat: {uri: 'hf://a/b', engine_args: {disable_log_requests: true}}")
    now = decide_pin_of(stack_of(tmp_path, CHAT))
    old = {("chat", "rack"): replace(now, engine_version="0.10.2")}
    assert settle(old, decided(stack, old).pins).changes == ()
    for locked, upgrade in ((None, False), (old, True)):
        with pytest.raises(InfctlError) as failed:
            decided(stack, locked, upgrade=upgrade)
        (told,) = failed.value.diagnostics
        assert told.detail == "vllm 0.33.0 has no such argument: 0.16.0 was the last to have it"


def decide_pin_of(stack: Stack) -> Pin:
    return decided(stack).pins["chat", "rack"]


def test_a_folder_is_one_model_whose_checksum_follows_every_file(tmp_path: Path) -> None:
    (tmp_path / "llama" / ".cache").mkdir(parents=True)
    for name, text in (("config.json", "{}"), ("model.safetensors", "weights"), (".cache/x", "not this")):
        (tmp_path / "llama" / name).write_text(text)
    stack, outside = stack_of(tmp_path, "chat: {uri: 'file:llama'}"), Outside()
    (pin,) = settled(stack, outside).pins.values()
    assert (pin.engine, pin.model_bytes, len(pin.model_sha256)) == ("vllm", 9, 64)
    assert outside.asked == ["rack vllm/vllm-openai:v0.33.0"]
    (tmp_path / "llama" / ".cache" / "x").write_text("something else")
    assert settled(stack, outside, {("chat", "rack"): pin}).changes == ()
    (tmp_path / "llama" / "model.safetensors").write_text("other weights")
    (change,) = settled(stack, outside, {("chat", "rack"): pin}).changes
    assert change.why == "file:llama has other contents"


def test_one_question_is_asked_once_and_every_failure_is_told_at_its_line(tmp_path: Path) -> None:
    outside = Outside()
    outside.down = True
    with pytest.raises(InfctlError) as failed:
        settled(
            stack_of(tmp_path, f"{CHAT}\nmore: {{uri: 'hf://a/b'}}\nother: {{uri: 'hf://a/b', image: 'r/v:2'}}"),
            outside,
        )
    told = failed.value.diagnostics
    assert [(each.code, each.path, each.address) for each in told] == [
        ("image-unresolved", "models.chat.image", "model.chat"),
        ("image-unresolved", "models.other.image", "model.other"),
    ]
    assert told[0].summary == "vllm/vllm-openai:v0.33.0 cannot be pinned for chat on rack"
    assert (told[0].detail, told[0].hint) == ("The registry did not answer: timed out", "look at the way to it")
    assert all(each.span is not None for each in told)
    assert len(outside.asked) == 3


def test_the_lock_file_holds_it_all_and_stays_as_it_was_for_this_machine(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, f"{CHAT}\nlocal: {{uri: 'file:m.gguf', placement: {{order: [here]}}}}")
    pins, path = settled(stack, Outside()).pins, tmp_path / "inference.lock.yaml"
    write_lock(path, pins)
    assert read_lock(path) == pins
    assert f'      image: "vllm/vllm-openai@sha256:{"a" * 64}"\n      model_revision: "c0ffee"\n' in path.read_text()
    (local,) = (body for body in lock_text(pins).split("  local:")[1:])
    assert "image" not in local
    assert "revision" not in local
    path.write_text(path.read_text().replace("  chat:", "  # by hand\n  chat:"))
    assert read_lock(path) == pins
