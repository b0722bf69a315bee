"""Makes infctl/engines/flags/{vllm,sglang}.json: which flags each released version of an engine takes.

Reads the engine's own source out of the wheels on PyPI, a few hundred kilobytes of each by ranges, and never runs it:
`add_argument` calls, and the typed fields that such calls are made from. Usage: engine_flags.py [vllm] [sglang]
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

INDEX = "https://pypi.org"
FLAGS = Path(__file__).parents[1] / "infctl/engines/flags"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """`first` is the oldest release looked at, `files` what is read of it, `fields` the classes whose every field is
    a flag.
    """

    package: str
    first: tuple[int, ...]
    files: str
    fields: str


ENGINES = {
    "vllm": Engine(
        "vllm",
        (0, 8, 5),
        r"vllm/(engine/arg_utils|config|config/[^/]+|entrypoints/[^/]+/cli_args)\.py",
        r"(Base)?FrontendArgs",
    ),
    "sglang": Engine(
        "sglang",
        (0, 4, 10),
        r"sglang/srt/(server_args|arg_groups/choices|arg_groups/fields/[^/]+)\.py",
        r"",
    ),
}
CLOSED = {"CacheDType"}  # types with words that plugins of other platforms add to, which infctl does not run
_SIMPLE = {"bool": "bool", "int": "int", "float": "float", "str": "str", "Path": "str", "dict": "json", "Dict": "json"}
_LISTS = {"list", "List", "tuple", "Tuple", "set", "Sequence"}
_BOUNDS = {"ge": "least", "gt": "above", "le": "most", "lt": "below"}


class Ranged(io.RawIOBase):
    """A file on a server that is read in parts."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, into: Any) -> int:
        count = min(len(into), self._size - self._at)
        if count <= 0:
            return 0
        asked = urllib.request.Request(self._url, headers={"Range": f"bytes={self._at}-{self._at + count - 1}"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found = answer.read()
        into[: len(found)] = found
        self._at += len(found)
        return len(found)


def releases(engine: Engine) -> Iterator[tuple[str, str, int]]:
    """Yield version, address of a wheel and its size, oldest first."""
    with urllib.request.urlopen(f"{INDEX}/pypi/{engine.package}/json", timeout=60) as answer:
        known = json.load(answer)["releases"]
    final = {version for version in known if re.fullmatch(r"[\d.]+(\.post\d+)?", version)}
    for version in sorted(final, key=order):
        wheels = [each for each in known[version] if each["filename"].endswith(".whl") and not each["yanked"]]
        if wheels and order(version) >= engine.first:
            yield version, urljoin(f"{INDEX}/simple/{engine.package}/", wheels[0]["url"]), wheels[0]["size"]


def order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def sources(engine: Engine, url: str, size: int) -> Iterator[ast.Module]:
    with zipfile.ZipFile(io.BufferedReader(Ranged(url, size), 1 << 18)) as wheel:
        for name in wheel.namelist():
            if re.fullmatch(engine.files, name):
                yield ast.parse(wheel.read(name))


class Reader:
    """Knows the names of one version: literals, lists of choices, classes; gives its flags."""

    def __init__(self, engine: Engine, modules: list[ast.Module]) -> None:
        self._engine, self._modules = engine, modules
        nodes = [node for module in modules for node in ast.walk(module)]
        self._classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self._calls = [node for node in nodes if isinstance(node, ast.Call)]
        self._names: dict[str, ast.expr] = {}
        self._kwargs: dict[str, str] = {}
        for node in nodes:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(target, ast.Name) and value is not None:
                self._names.setdefault(target.id, value)
                if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "get_kwargs":
                    self._kwargs[target.id] = ast.unparse(value.args[0])

    def flags(self) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for name, node in self._classes.items():
            whole = bool(self._engine.fields) and re.fullmatch(self._engine.fields, name)
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    found.update(self._annotated(field) if not whole else self._named(field, self._row_of(field)))
        for call in self._calls:
            if getattr(call.func, "attr", "") == "add_argument":
                found.update(self._argument(call))
        return found

    def _named(self, field: ast.AnnAssign, row: Row) -> dict[str, Row]:
        assert isinstance(field.target, ast.Name)  # noqa: S101
        return {field.target.id: row}

    def _annotated(self, field: ast.AnnAssign) -> dict[str, Row]:
        """Return the flags of a field of the form `A[type, Arg(...)]`."""
        kind = field.annotation
        if not (
            isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "A" and isinstance(kind.slice, ast.Tuple)
        ):
            return {}
        form, *more = kind.slice.elts
        row, names = self.row(form), [ast.unparse(field.target)]
        row = {"type": "flag"} if row["type"] == "bool" else row  # arg_utils makes each of them a store_true
        for call in (each for each in more if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "Arg"):
            given = {each.arg: each.value for each in call.keywords}
            if "no_cli" in given:
                return {}
            names += [word for word in self._words(given.get("aliases")) if word.startswith("--")]
            if "cli_name" in given:
                names[0] = self._words(given["cli_name"])[0]
            row = self._with(row, given)
        return {plain(name): row for name in names}

    def _argument(self, call: ast.Call) -> dict[str, Row]:
        names = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        row: Row = {"type": "str"}
        given: dict[str | None, ast.expr] = {each.arg: each.value for each in call.keywords if each.arg}
        for spread in (each.value for each in call.keywords if each.arg is None):
            for part in (node for node in ast.walk(spread) if isinstance(node, ast.Subscript)):
                if isinstance(part.slice, ast.Constant):
                    field = self._field(self._kwargs.get(ast.unparse(part.value), ""), str(part.slice.value))
                    row = self._row_of(field) if field else {"type": "any"}
        return {plain(name): self._with(row, given) for name in names if name.startswith("--")}

    def _field(self, owner: str, name: str) -> ast.AnnAssign | None:
        node = self._classes.get(owner)
        for field in node.body if node else ():
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id == name:
                return field
        return next((f for base in node.bases if (f := self._field(ast.unparse(base), name))), None) if node else None

    def _row_of(self, field: ast.AnnAssign) -> Row:
        row = self.row(field.annotation)
        if isinstance(field.value, ast.Call) and row["type"] in {"int", "float"}:
            for word in field.value.keywords:
                if word.arg in _BOUNDS and isinstance(word.value, ast.Constant):
                    row[_BOUNDS[word.arg]] = word.value.value
        return row

    def _with(self, row: Row, given: Mapping[str | None, ast.expr]) -> Row:
        """Return `row` as the arguments of `add_argument` change it."""
        row = dict(row)
        action = ast.unparse(given["action"]).strip("'\"") if "action" in given else ""
        if action in {"store_true", "store_false", "DeprecatedStoreTrueAction"}:
            return {"type": "flag"}
        if action.endswith(("BooleanOptionalAction", "StoreBoolean")):
            return {"type": "bool"}
        if "type" in given:
            row["type"] = _SIMPLE.get(ast.unparse(given["type"]).split("[")[0], "any")
        if "type_parser" in given:
            row["type"] = "any"
        if "choices" in given:
            row["choices"] = self._words(given["choices"])
            row["type"] = "str" if all(isinstance(each, str) for each in row["choices"]) else row["type"]
        if "nargs" in given:
            row["type"] = "list" if ast.unparse(given["nargs"]).strip("'") in "*+" else "any"
        if action in {"append", "extend"}:
            row["type"] = "append" if action == "append" else "list"
        elif action and action != "store":
            return {"type": "any"}
        return {key: value for key, value in row.items() if value not in ([], None)}

    def _words(self, value: ast.expr | None, depth: int = 0) -> list[Any]:
        """Return the constants that an expression lists; none where that cannot be told without running it."""
        if isinstance(value, ast.Name) and depth < 5 and value.id in self._names:
            return self._words(self._names[value.id], depth + 1)
        if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            each = [self._words(item, depth + 1) for item in value.elts]
            return [word for words in each for word in words] if all(each) else []
        if isinstance(value, ast.Constant):
            return [] if value.value is None else [value.value]
        if isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Literal":
            inner = value.slice
            return self._words(inner if isinstance(inner, ast.Tuple) else ast.Tuple([inner]), depth + 1)
        if isinstance(value, ast.Call) and ast.unparse(value.func) in {"get_args", "list", "sorted"} and value.args:
            return self._words(value.args[0], depth + 1)
        return []

    def _union(self, parts: list[ast.expr], depth: int) -> Row:
        rows = [self.row(part, depth) for part in parts]
        types = {row["type"] for row in rows}
        chosen = next((row for row in rows if "choices" in row), None)
        closed = {"type": "str"} not in rows or any(ast.unparse(part) in CLOSED for part in parts)
        if chosen and closed and not types & {"bool", "int", "float"} - {chosen["type"]}:
            return chosen
        return {"type": types.pop() if len(types) == 1 else "any"}

    def row(self, kind: ast.expr, depth: int = 0) -> Row:
        """Return what an annotation lets through."""
        if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
            return self.row(ast.parse(kind.value, mode="eval").body, depth)
        parts = [part for part in alternatives(kind) if ast.unparse(part) not in {"None", "SkipValidation"}]
        if len(parts) != 1:
            return self._union(parts, depth)
        name = ast.unparse(parts[0]).split("[")[0]
        if name in _SIMPLE:
            return {"type": _SIMPLE[name]}
        if name in _LISTS:
            return {"type": "list"}
        if name in {"Literal", "Annotated", "SkipValidation", "InitVar"} and isinstance(parts[0], ast.Subscript):
            if name == "Literal":
                words = self._words(parts[0])
                types = {type(word).__name__ for word in words}
                return {"type": types.pop(), "choices": words} if len(types) == 1 else {"type": "any"}
            inner = parts[0].slice
            return self.row(inner.elts[0] if isinstance(inner, ast.Tuple) else inner, depth)
        if name in self._names and depth < 5:
            return self.row(self._names[name], depth + 1)
        return {"type": "json" if name in self._classes else "any"}


def alternatives(kind: ast.expr) -> Iterator[ast.expr]:
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        yield from alternatives(kind.left)
        yield from alternatives(kind.right)
    elif isinstance(kind, ast.Subscript) and ast.unparse(kind.value) in {"Optional", "Union"}:
        inner = kind.slice
        for each in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
            yield from alternatives(each)
    else:
        yield kind


def plain(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def spans(found: Mapping[str, Mapping[str, Row]]) -> dict[str, list[Row]]:
    """Return, for each flag, what it takes and over which versions: `since`, and `until` where it is gone after."""
    versions, table = list(found), {}
    for name in sorted({name for flags in found.values() for name in flags}):
        rows: list[Row] = []
        for index, version in enumerate(versions):
            row = found[version].get(name)
            if row is None:
                continue
            last = rows[-1] if rows else None
            if (
                last
                and last["until"] == versions[index - 1]
                and {**last, "since": 0, "until": 0} == {**row, "since": 0, "until": 0}
            ):
                last["until"] = version
            else:
                rows.append({**row, "since": version, "until": version})
        for row in rows:
            if row["until"] == versions[-1]:
                del row["until"]
            if row["since"] == versions[0]:
                del row["since"]
        table[name] = rows
    return table


def make(name: str) -> None:
    engine = ENGINES[name]
    known = list(releases(engine))

    def read(release: tuple[str, str, int]) -> dict[str, Row]:
        return Reader(engine, list(sources(engine, *release[1:]))).flags()

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip((version for version, *_ in known), pool.map(read, known), strict=True))
    write(name, f"https://pypi.org/project/{engine.package}/", found)


def write(name: str, source: str, found: Mapping[str, Mapping[str, Row]]) -> None:
    """Write the table of an engine: `found` has the flags of each version, oldest first."""
    table = spans(found)
    head = {"engine": name, "source": source, "versions": list(found)}
    lines = [f"  {json.dumps(flag)}: {json.dumps(rows)}" for flag, rows in table.items()]
    text = json.dumps(head)[:-1] + ', "flags": {\n' + ",\n".join(lines) + "\n}}\n"
    (FLAGS / f"{name}.json").write_text(text, "utf-8")
    print(name, len(found), "versions,", len(table), "flags,", len(text), "bytes")


if __name__ == "__main__":
    for asked in sys.argv[1:] or ENGINES:
        make(asked)
