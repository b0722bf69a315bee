"""Owns what libyaml's complaints mean, in words that help: what is wrong, where, and what to type instead.

libyaml points at where it gave up, often a line behind the mistake; the context says where the trouble began.
"""

from __future__ import annotations

from yaml.error import MarkedYAMLError, Mark

_NO_COLON = "A key has no `:`"
_INDENT = "lines of one mapping begin in one column; indent with two spaces a level"
# What libyaml says (scanner.c, parser.c of 0.2.5) -> what we say: summary, detail, hint. The first that fits.
_SAID: tuple[tuple[str, str, str, str], ...] = (
    ("mapping values are not allowed", "A `:` is out of place", "no value can begin here",
     "quote text that holds `: `, or begin the key in the column of its mapping"),
    ("block sequence entries are not allowed", "A `-` is out of place", "no list can begin here",
     "put the list on the lines below its key, each item behind `- `"),
    ("could not find expected ':'", _NO_COLON, "expected `key: value`", "write `key: value`; close quotes"),
    ("did not find expected key", "The line fits no mapping", "expected a key in the column of the others", _INDENT),
    ("did not find expected '-' indicator", "The line fits no list", "expected `- `", "items of one list begin in one column"),
    ("did not find expected ',' or '}'", "A `{` is not closed", "expected `,` or `}`", "close the `{…}`, or put `,` between"),
    ("did not find expected ',' or ']'", "A `[` is not closed", "expected `,` or `]`", "close the `[…]`, or put `,` between"),
    ("found unexpected end of stream", "A quote is not closed", "the file ends first", "close the quote; '' inside of '…' is one quote"),
    ("found unexpected document indicator", "A quote is not closed", "a new document begins first", "close the quote"),
    ("found unknown escape character", "An escape is unknown", "no such escape in \"…\"", "write \\\\ for a backslash, or use '…'"),
    ("did not find expected hexdecimal", "An escape is not complete", "expected hexadecimal digits", "write \\\\ for a backslash, or use '…'"),
    ("found invalid Unicode character escape", "An escape is no character", "no such character", "write a character of Unicode"),
    ("tab character", "A tab is used to indent", "a tab", "indent with spaces"),
    ("did not find expected alphabetic or numeric", "A name is missing", "expected a name", "quote text that begins with & or *"),
    ("did not find expected node content", "A value is missing", "expected a value", "write a value, or take the `,` out"),
    ("did not find expected <document start>", "The text goes on after its end", "not part of the mapping", _INDENT),
    ("block", "A text block is not well indented", "", "indent the lines below | or > by two spaces more than the key"),
    ("tag", "A tag cannot be read", "", "values have no tags: leave it out, or quote text that begins with !"),
    ("directive", "A line that begins with % cannot be read", "", "take the line out"),
    ("%YAML", "A line that begins with % cannot be read", "", "take the line out"),
    ("incompatible YAML document", "The YAML version is unknown", "", "take the %YAML line out"),
)  # fmt: skip
_UNLUCKY_STARTS = {
    "\t": ("A tab is used to indent", "a tab", "indent with spaces"),
    "@": ("Text cannot begin with @", "not a value", 'put the text in quotes, as "@…"'),
    "`": ("Text cannot begin with `", "not a value", 'put the text in quotes, as "`…"'),
    "%": ("Text cannot begin with %", "not a value", 'put the text in quotes, as "%…"'),
}


def explain(failure: MarkedYAMLError, text: str) -> tuple[str, str, str, Mark]:
    """Return summary, detail, hint and place of a parser's complaint about `text`."""
    said, mark = failure.problem or "", failure.problem_mark or failure.context_mark or Mark("", 0, 0, 0, None, None)
    if "cannot start any token" in said and mark.index < len(text):
        found = _UNLUCKY_STARTS.get(text[mark.index])
        if found:
            return (*found, mark)
    began = failure.context_mark
    for phrase, summary, detail, hint in _SAID:
        if phrase in said:
            if began is not None and summary.endswith("is not closed"):
                return summary, f"opened here; {detail} by line {mark.line + 1}", hint, began
            if began is not None and summary == _NO_COLON:
                return summary, detail, hint, began
            return summary, detail or said, hint, mark
    return "The file is not YAML", said, _INDENT, mark
