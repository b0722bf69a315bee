"""Writes docs/reference/ from the code: every field of inference.yaml, every error code, every command, every engine.

`python3 scripts/reference.py` writes; with `-check` it only says which files are out of date (exit code 1). Runs in
an environment where infctl is installed.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from engine_reference import engine_page

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made from the code by scripts/reference.py; edit the code instead. -->\n\n"
WIDTH = 100
Schema = Mapping[str, Any]
# What a pattern of the schema means to a reader, by a part that only it has.
QUANTITIES = {
    "ms|s|m|h|d": "duration: `500ms`, `1h30m`",
    "[KMGTP]": "size: `16GB`, `8GiB`",
    "[smh]$": "rate: `6/s`",
    r"\s*%$": "share: `90%`, `0.9`",
    r"^\s*(\d*\.?\d+)": "size: `16GB`, `8GiB`",
}


def main() -> int:
    pages = {
        "errors.md": error_page(),
        "inference-yaml.md": field_page(),
        "commands.md": command_page(),
        "engines.md": engine_page(table),
    }
    stale = [name for name, text in pages.items() if not same(FOLDER / name, MADE + text)]
    if "-check" in sys.argv[1:]:
        for name in stale:
            print(f"docs/reference/{name} is out of date: run python3 scripts/reference.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(MADE + pages[name])
        print(f"wrote docs/reference/{name}")
    return 0


def same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


# ---------------------------------------------------------------- errors


def error_page() -> str:
    """Return a table of all diagnostic codes, from every module that declares one."""
    for package in ("infctl", "infctl_local"):
        root = importlib.import_module(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if "__main__" not in module.name and not module.name.endswith(("testkit", "testbench")):
                importlib.import_module(module.name)
    from infctl.diagnostics import Code  # noqa: PLC0415  # after every module has declared its codes

    text = "# Error codes\n\nWhat stands in brackets after `error` or `warning`, and as `code` in JSON.\n\n"
    rows = ([f"`{name}`", code.meaning, code.remedy] for name, code in sorted(Code.registry.items()))
    return text + table(["code", "what it means", "what to do"], rows)


# ---------------------------------------------------------------- commands


def command_page() -> str:
    """Return every command's help, as a terminal of WIDTH columns shows it."""
    from infctl.cli.main import root  # noqa: PLC0415

    context = click.Context(root, info_name="infctl", terminal_width=WIDTH, max_content_width=WIDTH)
    shown = list(helps(root, context, "infctl"))
    links = " · ".join(f"[{path.removeprefix('infctl ')}](#{path.replace(' ', '-')})" for path, _ in shown[1:])
    parts = ["# Commands\n", f"{links}\n", *(f"## {path}\n\n```text\n{text}\n```\n" for path, text in shown)]
    return "\n".join(parts)


def helps(command: click.Command, context: click.Context, path: str) -> Iterator[tuple[str, str]]:
    yield path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                child = click.Context(
                    inner, parent=context, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH
                )
                yield from helps(inner, child, f"{path} {name}")


# ---------------------------------------------------------------- fields


def field_page() -> str:
    """Return every field that a file may have, from the same schema that editors complete with."""
    from infctl.spec.backends import BACKENDS  # noqa: PLC0415
    from infctl.spec.schema import json_schema  # noqa: PLC0415
    from infctl.spec.served import served_fields  # noqa: PLC0415
    from infctl.spec.types import InstalledTypes  # noqa: PLC0415

    types = InstalledTypes()
    schema = json_schema(types)
    served = served_fields(types)
    parts = schema["$defs"]
    top, model = schema["properties"], parts["Model"]["properties"]
    here = {f"models.NAME.{each}": words for each, words in served.items()} | served_elsewhere()
    sections = [("The file", {name: top[name] for name in top if name in ("apiVersion", "name", "requires", "moved")})]
    sections += [(f"`{name}`", {name: top[name]}) for name in ("variables", "secrets", "state")]
    sections += [(f"`state`, backend {kind}", of_backend(parts, kind)) for kind in BACKENDS if kind != "local"]
    sections += [("`targets`", {"targets.NAME.type": top["targets"]["additionalProperties"]["properties"]["type"]})]
    sections += [(f"`targets`, of type {kind}", of_target(parts, kind)) for kind in types.names()]
    sections += [("`models`", {f"models.NAME.{name}": field for name, field in model.items() if name in served})]
    later = {name: top[name] for name in ("endpoints", "access", "policies", "observability")}
    later |= {f"models.NAME.{name}": field for name, field in model.items() if name not in served}
    text = INTRODUCTION
    for title, fields in sections:
        text += f"\n## {title}\n\n" + field_table(schema, fields, here)
    return text + engine_section() + f"\n{NOT_YET}\n" + field_table(schema, later, here)


def served_elsewhere() -> dict[str, str]:
    """Return what is served of fields outside of models, by asking the check that a file goes through."""
    from infctl.spec.served import check_stack  # noqa: PLC0415

    asked = {
        "secrets.NAME.aws_secrets_manager": {"secrets": {"name": {"aws_secrets_manager": "x"}}},
    }
    found = {path: [each.diagnostic.hint for each in check_stack(file)] for path, file in asked.items()}
    return {path: "none" for path, hints in found.items() if hints}


def engine_section() -> str:
    """Return the table of what `engine_args` may say."""
    from infctl.engines.arguments import INT32_MAX  # noqa: PLC0415
    from infctl.engines.llama_cpp import ARGS, NAME  # noqa: PLC0415

    kinds = {bool: "`true` `false`", int: "whole number", float: "number", str: "text"}
    rows = []
    for name, arg in ARGS.items():
        if arg.instead:
            continue
        value = " ".join(f"`{each}`" for each in arg.choices) or kinds[arg.type]
        value += "" if arg.least is None else f", from {arg.least}"
        value += "" if arg.most == INT32_MAX else f" to {arg.most}"
        rows.append([f"`{name}`", value, arg.doc])
    return f"\n## `engine_args` of {NAME}\n\n" + table(["argument", "value", "what it says"], rows)


def of_backend(parts: Schema, kind: str) -> dict[str, Any]:
    fields = parts[f"state-{kind}"]["properties"]
    return {f"state.{name}": field for name, field in fields.items() if name not in ("backend", "encryption")}


def of_target(parts: Schema, kind: str) -> dict[str, Any]:
    fields = parts[f"target-{kind}"]["properties"]
    return {f"targets.NAME.{name}": field for name, field in fields.items() if name != "type"}


INTRODUCTION = """# inference.yaml

Every field, from the code. `infctl schema` prints the same as JSON Schema, for editors. `NAME` is a name that you
choose, `[]` each item of a list. Any value may be a variable, `${var.NAME}`; under `models`, `null` takes away what
`like` would inherit.
"""
NOT_YET = """## Not served yet

Part of the language, and checked; but no code does what they say, so that each is `error[not-served]` for now.
"""


def field_table(schema: Schema, fields: Mapping[str, Schema], served: Mapping[str, str]) -> str:
    rows = [row for path, field in fields.items() for row in field_rows(schema, field, path, served)]
    return table(["field", "value", "default", "what it says"], rows)


def field_rows(schema: Schema, field: Schema, path: str, served: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the row of a field, and those of the fields inside of it."""
    arms = [arm for arm in choices(schema, field) if arm.get("type") != "null"]
    names = dict.fromkeys(name for name in map(type_name, arms) if name)
    default = field.get("default")
    shown = "" if default in (None, "") or isinstance(default, dict) else f"`{as_written(default)}`"
    text = field.get("description") or ""
    if served.get(path):
        text += " *(not served yet)*" if served[path] == "none" else f" *(served so far: {served[path]})*"
    yield [f"`{path}`", " or ".join(names), shown, text]
    for arm in arms:
        for name, inner in arm.get("properties", {}).items():
            if f"{path}.{name}" in served or not any(each.startswith(f"{path}.") for each in served):
                yield from field_rows(schema, inner, f"{path}.{name}", served)
        yield from inner_rows(schema, arm, path, served)


def inner_rows(schema: Schema, arm: Schema, path: str, served: Mapping[str, str]) -> Iterator[list[str]]:
    """Yield the rows of the fields of a mapping's values, or of a list's items."""
    for key, step in (("additionalProperties", ".NAME"), ("items", "[]")):
        inner = arm.get(key)
        for each in choices(schema, inner) if isinstance(inner, dict) else ():
            for name, field in each.get("properties", {}).items():
                yield from field_rows(schema, field, f"{path}{step}.{name}", served)


def choices(schema: Schema, field: Schema) -> list[Schema]:
    """Return the forms that a value may have, references followed, without the variable that may stand anywhere."""
    if "$ref" in field:
        found = schema["$defs"][field["$ref"].rpartition("/")[2]]
        return [] if field["$ref"].endswith("/Variable") else choices(schema, found)
    if "anyOf" in field:
        return [arm for each in field["anyOf"] for arm in choices(schema, each)]
    return [field]


def type_name(arm: Schema) -> str:
    """Return what a reader may write, in words."""
    if "enum" in arm or "const" in arm:
        return " ".join(f"`{as_written(each)}`" for each in arm.get("enum", [arm.get("const")]))
    pattern, kind = arm.get("pattern", ""), arm.get("type", "any")
    if kind == "string" and pattern:
        return next((words for part, words in QUANTITIES.items() if part in pattern), "text")
    if kind == "integer":
        low, high = arm.get("minimum"), arm.get("maximum")
        return f"whole number, {low} to {high}" if high is not None else f"whole number, from {low}"
    words = {"string": "text", "object": "mapping", "array": "list", "boolean": "`true` `false`"}
    return " or ".join(words.get(each, each) for each in ([kind] if isinstance(kind, str) else kind))


def as_written(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def table(head: list[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """Return a Markdown table, without the columns that are empty in every row."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    kept = [index for index in range(len(head)) if any(row[index] for row in cells)]
    lines = [[head[index] for index in kept], ["---"] * len(kept), *([row[index] for index in kept] for row in cells)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
