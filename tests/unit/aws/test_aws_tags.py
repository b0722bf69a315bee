"""How objects on AWS describe themselves, within what tags may hold."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Labels
from infctl.secrets import Secret, SecretRef
from infctl_aws.labels import CHUNK, read_tags, stale, user_tags, write_tags

ADDRESS = Address("aws_autoscaling_group", "chat", "burst")
LABELS = Labels("0123456789ab", "lin", "acme", "default", str(ADDRESS), "chat", 3, "feed", 7)
ALLOWED = re.compile(r"[\w .:/=+\-@]*")  # what IAM takes, the strictest (IAM User Guide, "Tag naming limits")


def change(values: dict[str, Any]) -> Change:
    return Change(Do.CREATE, ADDRESS, "burst", "acme-chat-r3", LABELS, values)


def test_what_is_written_is_read_back_and_a_secret_only_as_its_reference() -> None:
    ref = SecretRef("hf", digest="d" * 32)
    values = {"env": {"TOKEN": Secret("do-not-say-this", ref), "A": "é\n"}, "command": ("a", "b"), "replicas": 2}
    tags = write_tags(change(values), values)
    found = read_tags(tags)
    assert found is not None
    assert (found.labels, found.target, found.name) == (LABELS, "burst", "acme-chat-r3")
    assert found.values == {**values, "env": {"TOKEN": ref, "A": "é\n"}}
    assert "do-not-say-this" not in str(tags)


def test_tags_are_as_long_and_of_such_characters_as_aws_allows() -> None:
    values = {"args": {f"argument-{number}": str(number) * 9 for number in range(200)}}
    tags = write_tags(change(values), values)
    assert all(len(value) <= CHUNK and ALLOWED.fullmatch(value) for value in tags.values())
    assert len(tags) <= 50


def test_values_too_long_for_tags_are_refused_with_the_way_out() -> None:
    noise = random.Random(1).randbytes(20_000).hex()
    with pytest.raises(ProviderError) as failure:
        write_tags(change({"command": (noise,)}), {"command": (noise,)})
    assert "shorten" in failure.value.diagnostics[0].hint


@pytest.mark.parametrize("broken", [{}, {"infctl:id": "x"}, {"Name": "theirs"}])
def test_tags_of_strangers_say_nothing(broken: dict[str, str]) -> None:
    assert read_tags(broken) is None


def test_tags_cut_by_hand_say_nothing() -> None:
    tags = write_tags(change({"a": 1}), {"a": 1})
    assert read_tags({**tags, "infctl:values.0": tags["infctl:values.0"][:-8]}) is None


def test_fewer_values_leave_no_old_tags() -> None:
    assert stale({"infctl:values.0": "a", "infctl:values.1": "b", "team": "x"}, {"infctl:values.0": "c"}) == [
        "infctl:values.1"
    ]


def test_a_models_tags_are_its_bills() -> None:
    assert user_tags({"tags": {"cost-center": 42}}) == {"cost-center": "42"}
