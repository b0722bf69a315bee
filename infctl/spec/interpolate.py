"""Owns `${var.x}`: a whole scalar takes the variable's value with its type, longer text takes it as text.

`$${` stands for `${` itself. Only values are looked at, never keys. Knows nothing of where variables come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infctl.diagnostics import Code
from infctl.spec.paths import Loc, quote
from infctl.spec.problems import MOST_TOLD, Problem, near, problem

UNKNOWN_VARIABLE = Code(
    "unknown-variable",
    "A variable is used or set that the configuration does not declare.",
    "Declare it under `variables:`, or mend its name.",
)
BAD_INTERPOLATION = Code(
    "bad-interpolation",
    "A `${…}` is not a reference to a variable, or its value cannot stand inside of text.",
    "Write ${var.NAME}; for a `${` of the text itself write `$${`.",
)
NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_FOUND = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NOTHING = object()
_REFERENCE = re.compile(rf"\s*var\.({NAME})\s*")


class Interpolator:
    """Replaces references in plain values. `variables` are those with a value, `declared` the names of all.

    `problems` and `unresolved` grow: the latter has the places whose value stays unknown, so that nobody complains
    about what stands there.
    """

    def __init__(self, variables: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
        self._variables = variables
        self._declared = declared
        self.problems: list[Problem] = []
        self.unresolved: set[Loc] = set()

    def replace(self, value: Any, loc: Loc = ()) -> Any:
        """Return `value` with its references replaced; what has none is returned as it is, not copied."""
        if isinstance(value, str):
            return self._text(value, loc) if "${" in value else value
        if isinstance(value, dict):
            changed = {key: new for key, old in value.items() if (new := self.replace(old, (*loc, key))) is not old}
            return {**value, **changed} if changed else value
        if isinstance(value, list):
            items = [self.replace(item, (*loc, index)) for index, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _text(self, text: str, loc: Loc) -> Any:
        whole = _FOUND.fullmatch(text)
        if whole and whole[2]:
            value = self._look_up(whole[1], loc)
            return text if value is _NOTHING else value
        replaced = _FOUND.sub(lambda found: self._inside(found, loc), text)
        return text if loc in self.unresolved else replaced

    def _inside(self, found: re.Match[str], loc: Loc) -> str:
        """Return the text for one `${…}` inside of a longer text."""
        if found[0] == "$${":
            return "${"
        if not found[2]:
            self._complain(
                BAD_INTERPOLATION, "A `${` is not closed", "expected `}`", "close it; `$${` is plain text", loc
            )
            return ""
        value = self._look_up(found[1], loc)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)):
            return str(value)
        if value is not _NOTHING:
            name = found[1].strip()
            what = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "null"
            hint = f'let "${{{name}}}" be the whole value, with nothing around it'
            self._complain(BAD_INTERPOLATION, f"{name} cannot stand inside of text", f"it is {what}", hint, loc)
        return ""

    def _look_up(self, reference: str, loc: Loc) -> Any:
        found = _REFERENCE.fullmatch(reference)
        if len(self.problems) > MOST_TOLD:
            self.unresolved.add(loc)
        elif not found:
            detail = f"{quote(reference.strip())} is not var.NAME"
            self._complain(
                BAD_INTERPOLATION, "Only variables can be referred to", detail, BAD_INTERPOLATION.remedy, loc
            )
        elif found[1] in self._variables:
            return self._variables[found[1]]
        elif found[1] in self._declared:  # it has no value, which was said already
            self.unresolved.add(loc)
        else:
            hint = near(found[1], self._declared) or f"declare it: variables: {{{found[1]}: {{type: string}}}}"
            detail = f"{found[1]} is not declared under variables"
            self._complain(UNKNOWN_VARIABLE, "No such variable", detail, hint, loc)
        return _NOTHING

    def _complain(self, code: Code, summary: str, detail: str, hint: str, loc: Loc) -> None:
        self.unresolved.add(loc)
        self.problems.append(problem(code, summary, detail, loc=loc, hint=hint))
