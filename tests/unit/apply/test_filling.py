"""Secrets at the moment they are needed: fetched once, given, kept as digests, kept out of words."""

from __future__ import annotations

from infctl.apply.events import StepProgress, plain
from infctl.apply.failures import GATE_FAILED
from infctl.apply.filling import Vault
from infctl.diagnostics import error
from infctl.provider.values import Health, encode
from infctl.secrets import Secret, SecretRef
from tests.unit.apply.bench import KEY, replica_at

VALUES = {"env": {"TOKEN": SecretRef("hf", "env"), "PLAIN": "x"}, "list": ({"deep": SecretRef("s3")},), "n": 1}


def vault() -> tuple[Vault, list[str]]:
    asked: list[str] = []

    def fetch(name: str) -> Secret:
        asked.append(name)
        return Secret(f"value of {name}")

    return Vault(fetch, KEY), asked


def test_values_without_secrets_are_passed_on_as_they_are() -> None:
    values = {"a": ({"b": 1},)}
    kept, given = vault()[0].fill(values)
    assert kept is values
    assert given is values


def test_every_secret_is_fetched_once_and_never_written() -> None:
    filler, asked = vault()
    kept, given = filler.fill(VALUES)
    filler.fill(VALUES)
    assert asked == ["hf", "s3"]
    assert given["list"][0]["deep"].reveal() == "value of s3"
    assert kept["env"]["TOKEN"] == SecretRef("hf", "env", Secret("value of hf").digest(KEY))
    assert "value of" not in repr(given) + str(encode(kept))


def test_words_of_others_are_redacted() -> None:
    filler, _ = vault()
    filler.fill(VALUES)
    health = filler.redact_health(Health(ready=False, detail="got value of hf", log=("env TOKEN=value of hf",)))
    assert (health.detail, health.log) == ("got (sensitive)", ("env TOKEN=(sensitive)",))
    told = filler.redact_diagnostic(error(GATE_FAILED, "value of hf", "and value of s3", hint="ok"))
    assert (told.summary, told.detail, told.hint) == ("(sensitive)", "and (sensitive)", "ok")


def test_an_event_is_plain_json() -> None:
    address = replica_at("chat")
    about = (1.23456, "s1", address, "chat", "here", "h1", 2, "create", "a", 0.5)
    event = StepProgress(*about, "pull", "layers", 3, 9, "MB")
    assert plain(event) == {
        "type": "step_progress", "elapsed": 1.235, "step": "s1", "address": 'fake_process.chat["here/0"]',
        "model": "chat", "target": "here", "place": "h1", "revision": 2, "do": "create", "object": "a", "seconds": 0.5,
        "phase": "pull", "detail": "layers", "done": 3, "total": 9, "unit": "MB",
    }  # fmt: skip
