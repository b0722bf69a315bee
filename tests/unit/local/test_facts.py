"""Pure readings of the local target, over text as it really looks."""

from __future__ import annotations

import pytest

from infctl.address import Address
from infctl.provider.telling import last_line, telling_lines
from infctl.provider.values import Labels, Ref, without_secrets
from infctl.secrets import Secret, SecretRef
from infctl_local.facts import Record, free_under_limit, parse_record

LABELS = Labels("0a1b", "3f0c", "hello", "default", 'local_process.hello["local/0"]', "hello", 2, "77", 9)
STAT = "anon 700\nfile 300\ninactive_file 200\nactive_file 100\n"


def test_a_description_survives_being_written_and_read() -> None:
    values = {"env": {"A": "b", "T": SecretRef("t", "env", "d1")}, "command": ("x", "y"), "port": 0, "args": {"n": 1.5}}
    record = Record("hello-r2-0", "local", LABELS, values, {"port": 20_001, "url": "http://127.0.0.1:20001"})
    assert parse_record(record.to_json()) == record


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"labels": {"id": 1}}', "null"])
def test_what_is_no_description_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_record(text)


def test_secrets_are_written_as_references_wherever_they_are() -> None:
    ref = SecretRef("token", "file", "d1")
    values = {
        "env": {"T": Secret("canary", ref)},
        "list": (Secret("canary", ref), 1),
        "ref": Ref(Address("a", "b"), "c"),
    }
    kept = without_secrets(values)
    assert kept == {"env": {"T": ref}, "list": (ref, 1), "ref": Ref(Address("a", "b"), "c")}
    with pytest.raises(ValueError, match="reference"):
        without_secrets(Secret("canary"))


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [("1000\n", "900\n", 300), ("max\n", "900\n", None), ("1000\n", "5000\n", 0), ("", "0", None)],
)
def test_a_control_group_gives_what_its_limit_leaves_and_what_it_can_take_back(
    limit: str, used: str, free: int | None
) -> None:
    assert free_under_limit(limit, used, STAT) == free


def test_of_a_log_the_lines_that_say_why_are_shown_once() -> None:
    log = (
        "infctl: loading /srv/big.gguf",
        "0.00.012.345 I load: printing all EOG tokens:",
        "0.01.200.001 E llama_model_load: error loading model: tensor 'blk.1' data is not within the file bounds",
        "infctl: error: cannot load /srv/big.gguf: tensor 'blk.1' data is not within the file bounds",
        "infctl: it ended with exit code 1; starting it again in 0.5 s",
        "infctl: loading /srv/big.gguf",
        "0.01.300.007 E llama_model_load: error loading model: tensor 'blk.1' data is not within the file bounds",
        "infctl: error: cannot load /srv/big.gguf: tensor 'blk.1' data is not within the file bounds",
        "infctl: given up: it ended with exit code 1, 5 quick ends in a row",
    )
    assert telling_lines(log) == (log[6], log[3], log[8])


def test_a_log_that_names_no_cause_shows_its_last_lines() -> None:
    assert telling_lines(("one", "", "two", "three"), most=2) == ("two", "three")
    assert telling_lines(()) == ()
    assert last_line(("one", "12:30:01 INFO shards: 25%", " ")) == "INFO shards: 25%"
    assert last_line(()) == ""
