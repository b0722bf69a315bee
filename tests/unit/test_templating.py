"""Templates are strict: what is missing is an error, and what infctl ships is found."""

from __future__ import annotations

import jinja2
import pytest

from infctl.templating import render, shipped


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("init/gitignore.j2")


def test_a_shipped_template_is_rendered() -> None:
    assert ".infctl/\n" in render("init/gitignore.j2", folder=".infctl")


def test_stacks_are_found_beside_templates() -> None:
    assert (shipped("stacks") / "hello" / "models" / "hello.gguf").is_file()
