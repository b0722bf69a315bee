"""Where things stand: paths as text, and from a path to a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infctl.spec.assemble import load_stack
from infctl.spec.paths import parse, quote, show
from infctl.spec.stack import Inputs
from tests.fakes.target_types import FakeTypes
from tests.unit.spec.files import load

TEXT = """\
models:
  chat:
    uri: file:chat.gguf
    tags: &tags
      cost-center: "42"
      a.b: x
    served_names: [chat, gpt]
    placement:
      order:
        - local
  next:
    like: chat
    replicas: 2
  last: {uri: file:last.gguf, like: next, tags: *tags}
"""


@pytest.mark.parametrize(
    ("path", "place", "marked"),
    [
        ("models.chat.uri", "inference.yaml:5:10", "file:chat.gguf"),
        ("models.chat.tags.cost-center", "inference.yaml:7:20", '"42"'),
        ('models.chat.tags["a.b"]', "inference.yaml:8:12", "x"),
        ("models.chat.tags", "inference.yaml:6:5", "tags"),
        ("models.chat.served_names", "inference.yaml:9:19", "[chat, gpt]"),
        ("models.chat.served_names[1]", "inference.yaml:9:26", "gpt"),
        ("models.chat.placement.order[0]", "inference.yaml:12:11", "local"),
        ("models.chat", "inference.yaml:4:3", "chat"),
        ("models.chat.nothing.here", "inference.yaml:4:3", "chat"),
        ("models.nobody", "inference.yaml:3:1", "models"),
        ("nothing", "inference.yaml:1:1", "apiVersion: infctl/v1"),
        ("models.next.replicas", "inference.yaml:15:15", "2"),
        ("models.next.uri", "inference.yaml:5:10", "file:chat.gguf"),
        ("models.last.replicas", "inference.yaml:15:15", "2"),
        ("models.last.served_names[0]", "inference.yaml:9:20", "chat"),
        ("models.last.uri", "inference.yaml:16:15", "file:last.gguf"),
        ("models.last.tags", "inference.yaml:16:49", "*tags"),
        ("models.last.tags.cost-center", "inference.yaml:7:20", '"42"'),
        ("models.last.port", "inference.yaml:16:3", "last"),
    ],
)
def test_a_path_leads_to_its_place_or_the_nearest_around_it(tmp_path: Path, path: str, place: str, marked: str) -> None:
    span = load(tmp_path, TEXT).locate(path)
    assert span is not None
    assert str(span) == place
    assert span.text[span.column - 1 :][: span.length] == marked


def test_the_key_can_be_asked_for(tmp_path: Path) -> None:
    span = load(tmp_path, TEXT).locate("models.chat.uri", at_key=True)
    assert span is not None
    assert (span.column, span.length) == (5, 3)


def test_every_file_knows_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: infctl/v1\nname: shop\nmodels:\n  chat: {uri: file:a}\n")
    (tmp_path / "b.yaml").write_text(
        "models:\n  next: {uri: file:b}\n  more: {uri: file:c}\nmoved: [{from: x, to: next}]\n"
    )
    (tmp_path / "c.yaml").write_text("moved:\n  - {from: y, to: more}\n")
    stack = load_stack(Inputs(tmp_path, (Path(),)), FakeTypes())
    assert str(stack.locate("models.chat.uri")) == "a.yaml:4:15"
    assert str(stack.locate("models.next.uri")) == "b.yaml:2:15"
    assert str(stack.locate("moved[0].to")) == "b.yaml:4:23"
    assert str(stack.locate("moved[1].from")) == "c.yaml:2:12"


def test_a_line_that_nobody_can_read_is_not_shown(tmp_path: Path) -> None:
    models = ", ".join(f"m{n}: {{uri: file:a.gguf}}" for n in range(200))
    span = load(tmp_path, f"models: {{{models}}}\n").locate("models.m199.uri")
    assert span is not None
    assert span.text == ""
    assert span.line == 3


@given(st.lists(st.text(min_size=1) | st.integers(0, 10**6), min_size=1).map(tuple))
def test_a_path_is_read_as_it_is_written(loc: tuple[str | int, ...]) -> None:
    assert parse(show(loc)) == loc


@given(st.text() | st.integers() | st.lists(st.text()) | st.binary())
def test_a_quoted_value_can_be_printed(value: object) -> None:
    assert quote(value).isprintable()
    assert len(quote(value)) <= 60
