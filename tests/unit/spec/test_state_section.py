"""What a file says of its state is read the same alone, with the whole file, and from what is kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.spec.assemble import load_stack
from infctl.spec.kept import FILE, load_kept
from infctl.spec.stack import Inputs, Stack, StateConfig
from infctl.spec.state_section import read_state
from tests.fakes.target_types import FakeTypes
from tests.unit.state.words import refused

HEAD = "apiVersion: infctl/v1\nname: shop\nmodels: {chat: {uri: file:m.gguf}}\n"
SECTIONS = {
    "nothing": ("", StateConfig()),
    "null": ("state:\n", StateConfig()),
    "local": ("state: {backend: local}\n", StateConfig()),
    "s3": (
        (
            "state: {backend: s3, bucket: acme, key: prod, path_style: true, region: null,"
            " encryption: {key: {command: [vault, read]}, previous: none}}\n"
        ),
        StateConfig(
            "s3",
            {"bucket": "acme", "key": "prod", "path_style": True},
            {"key": {"command": ["vault", "read"]}, "previous": "none"},
        ),
    ),
    "http": (
        (
            "secrets: {server: {command: [pass, show]}, other: {env: X}}\n"
            "state: {backend: http, address: 'https://a.example/s', password: secret://server, timeout: 3s}\n"
        ),
        StateConfig(
            "http",
            {"address": "https://a.example/s", "password": "secret://server", "timeout": "3s"},
            {},
            {"server": {"command": ["pass", "show"]}},
        ),
    ),
}


def whole(root: Path) -> Stack:
    return load_stack(Inputs(root), FakeTypes())


@pytest.mark.parametrize("name", SECTIONS)
def test_it_is_the_same_alone_and_with_the_file(tmp_path: Path, name: str) -> None:
    text, wanted = SECTIONS[name]
    (tmp_path / "inference.yaml").write_text(HEAD + text)
    assert read_state(tmp_path, ()) == wanted
    assert whole(tmp_path).state == wanted


@pytest.mark.parametrize("name", SECTIONS)
def test_it_is_the_same_when_the_stack_was_kept(tmp_path: Path, name: str) -> None:
    text, wanted = SECTIONS[name]
    (tmp_path / "inference.yaml").write_text(HEAD + text)

    def load() -> Stack:
        return load_kept(Inputs(tmp_path), tmp_path / "cache", lambda: whole(tmp_path))

    load()
    kept = load()
    assert (tmp_path / "cache" / FILE).exists()
    assert kept.state == wanted


def test_it_may_stand_in_one_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    (tmp_path / "b.yaml").write_text(SECTIONS["http"][0])
    assert read_state(tmp_path, (Path("a.yaml"), Path("b.yaml"))) == SECTIONS["http"][1]


def test_it_is_read_where_the_rest_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "inference.yaml").write_text(f"nonsense: {{}}\nmodels: 7\n{SECTIONS['http'][0]}")
    assert read_state(tmp_path, ()) == SECTIONS["http"][1]


def test_what_is_wrong_with_it_alone_points_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "inference.yaml").write_text(f"{HEAD}state: {{backend: s3, bucket: acme, kay: prod, key: p}}\n")
    words = refused(lambda: read_state(tmp_path, ()))
    assert 'unknown-field: Unsupported field; not a field of a state in S3; did you mean "key"?' in words
    (tmp_path / "inference.yaml").write_text("state: [")
    assert "yaml-syntax" in refused(lambda: read_state(tmp_path, ()))
