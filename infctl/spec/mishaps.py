"""Owns what libyaml's complaints mean, in words that help: what is wrong, where, and what to type instead.

libyaml points at where it gave up, often a line behind the mistake; the context says where the trouble began.
"""

from __future__ import annotations

from yaml.error import Mark, MarkedYAMLError

_START = Mark("", 0, 0, 0, "", 0)
_BACKSLASH = r"write \\ for a backslash, or use '…'"
_NO_COLON = "A key has no `:`"
_INDENT = "lines of one mapping begin in one column; indent with two spaces a level"
# What libyaml says (scanner.c, parser.c of 0.2.5) -> our summary, detail, hint; the first that fits. Without a detail
# libyaml's own words stand there.
_SAID: tuple[tuple[str, str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "A `:` is out of place",
        "no value can begin here",
        "quote text that holds `: `, or begin the key in the column of its mapping",
    ),
    (
        "block sequence entries are not allowed",
        "A `-` is out of place",
        "no list can begin here",
        "put the list on the lines below its key, each item behind `- `",
    ),
    ("could not find expected ':'", _NO_COLON, "expected `key: value`", "write `key: value`; close quotes"),
    ("did not find expected key", "The line fits no mapping", "expected a key in the column of the others", _INDENT),
    ("expected '-' indicator", "The line fits no list", "expected `- `", "items of one list begin in one column"),
    ("expected ',' or '}'", "A `{` is not closed", "no `,` or `}`", "close the `{…}`, or put `,` between its fields"),
    ("expected ',' or ']'", "A `[` is not closed", "no `,` or `]`", "close the `[…]`, or put `,` between its items"),
    ("unexpected end of stream", "A quote is not closed", "not closed", "close it; '' inside of '…' is one quote"),
    (
        "unexpected document indicator",
        "A quote is not closed",
        "not closed",
        "close it before the line with --- or ...",
    ),
    ("unknown escape character", "An escape is unknown", 'no such escape in "…"', _BACKSLASH),
    ("hexdecimal", "An escape is not complete", "expected hexadecimal digits", _BACKSLASH),
    ("invalid Unicode character escape", "An escape is no character", "no such character", _BACKSLASH),
    ("tab character", "A tab is used to indent", "a tab", "indent with spaces"),
    ("alphabetic or numeric", "A name is missing", "expected a name", "quote text that begins with & or *"),
    ("did not find expected node content", "A value is missing", "expected a value", "write one, or take the `,` out"),
    ("expected <document start>", "The text goes on after its end", "not part of the mapping", _INDENT),
    ("comment or line break", "A text block begins wrongly", "", "write | or > at the end of the line, the text below"),
    ("block", "A text block is not well indented", "", "indent the lines below | or > deeper than the key"),
    ("tag", "A tag cannot be read", "", "values have no tags: leave it out, or quote text that begins with !"),
    ("directive", "A line that begins with % cannot be read", "", "take the line out"),
    ("YAML document", "The YAML version is unknown", "", "take the %YAML line out"),
)
_UNLUCKY_STARTS = {
    "\t": ("A tab is used to indent", "a tab", "indent with spaces"),
    "@": ("Text cannot begin with @", "not a value", 'put the text in quotes, as "@…"'),
    "`": ("Text cannot begin with `", "not a value", 'put the text in quotes, as "`…"'),
    "%": ("Text cannot begin with %", "not a value", 'put the text in quotes, as "%…"'),
}


def explain(failure: MarkedYAMLError, text: str) -> tuple[str, str, str, Mark]:
    """Return summary, detail, hint and place of a parser's complaint about `text`."""
    said, mark = failure.problem or "", failure.problem_mark or failure.context_mark or _START
    if "cannot start any token" in said and mark.index < len(text):
        found = _UNLUCKY_STARTS.get(text[mark.index])
        if found:
            return (*found, mark)
    began = failure.context_mark
    for phrase, summary, detail, hint in _SAID:
        if phrase in said:
            if began is not None and summary.endswith("is not closed"):
                return summary, f"opened here, {detail} until line {mark.line + 1}", hint, began
            if began is not None and summary == _NO_COLON:
                return summary, detail, hint, began
            return summary, detail or said, hint, mark
    return "The file is not YAML", said, _INDENT, mark
