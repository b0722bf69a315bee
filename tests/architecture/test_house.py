"""The shape of the house: what may stand where, whatever the linter of imports already holds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "infctl").rglob("*.py"), *(ROOT / "providers").rglob("*.py")])
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_owns_and_has_a_name_that_means_something(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module docstring says what it owns"
    assert path.stem not in EMPTY_NAMES


def test_the_core_names_no_provider() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "infctl").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"infctl_(local|docker|kubernetes|aws)|local_(process|relay|route)", line)
    ]
    assert not named, "the core naming a provider is a broken build"


@pytest.mark.parametrize("arguments", [["version"], ["-help"], ["plan", "-help"]])
def test_a_question_about_infctl_loads_click_and_nothing_else(arguments: list[str]) -> None:
    """Help and version must feel instant: no pydantic, yaml, rich, jinja2, aiohttp, no provider."""
    script = (
        "import sys; from infctl.cli.main import main\n"
        f"sys.argv = ['infctl', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'pydantic','yaml','rich','jinja2','aiohttp','psutil','xllamacpp','infctl_local','asyncio'}\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_no_shell_string_and_no_bare_except() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword):
                assert node.arg != "shell", f"{path}:{node.value.lineno} runs a shell"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno} catches everything"
