"""Owns `infctl fmt`: one way to lay out a file, with its words, comments and order untouched.

Two spaces a level, lists deeper than their key, one space after `:` and `,`, double quotes where both would do, no
two blank lines. Comments beside a value keep their column when they can. Works on libyaml's tokens; knows no field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from yaml import tokens
from yaml._yaml import CParser
from yaml.error import MarkedYAMLError

from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.spec.loader import load_bytes

CANNOT_FORMAT = Code(
    "cannot-format",
    "A file uses YAML in a way that cannot be laid out without a risk for what it says. It is left as it is.",
    "Lay it out by hand; the usual cause is `? ` before a key, or a text over several lines.",
)
STEP = 2  # spaces a level
_MOST_PASSES = 3
_OPENING = (tokens.FlowMappingStartToken, tokens.FlowSequenceStartToken)
_CLOSING = (tokens.FlowMappingEndToken, tokens.FlowSequenceEndToken)
_AT_LEFT = (tokens.DirectiveToken, tokens.DocumentStartToken, tokens.DocumentEndToken, tokens.StreamEndToken)
_TIGHT_BEFORE = (*_CLOSING, tokens.FlowEntryToken, tokens.ValueToken)
_SPACE_BEHIND = (
    tokens.ValueToken,
    tokens.BlockEntryToken,
    tokens.FlowEntryToken,
    tokens.AnchorToken,
    tokens.TagToken,
    tokens.KeyToken,
    tokens.DocumentStartToken,
)
_BEFORE_COMMENT = 2  # spaces at least
_PLAINLY_QUOTED = re.compile(r"'[^'\"\\\n]*'")
_BLANK_END = re.compile(r"(\n *)+\Z")


def format_text(data: bytes, file: str) -> str:
    """Return the text of a file, shown as `file`, well laid out; what it says stays the same, to the letter.

    Raises InfctlError where it is not YAML, or where its layout cannot be changed safely.
    """
    source, problems = load_bytes(data, file)
    if source is None:
        raise InfctlError(*problems)
    text = _settle(source.text.replace("\r\n", "\n").replace("\r", "\n"))
    after = load_bytes(text.encode(), file)[0] if text is not None else None
    if text is None or after is None or json.dumps(after.value) != json.dumps(source.value):
        raise InfctlError(error(CANNOT_FORMAT, f"{file} cannot be formatted", hint=CANNOT_FORMAT.remedy))
    return text


def _settle(text: str) -> str | None:
    """Return the layout that stays as it is when it is laid out again; None where there is none."""
    try:
        for _ in range(_MOST_PASSES):
            before, text = text, _Layout(text).written()
            if text == before:
                return text
    except MarkedYAMLError:  # the new layout is no YAML
        return None
    return None


@dataclass(frozen=True, slots=True)
class _Block:
    """A block mapping or sequence: the column it has, and the one it gets. `loose` ones have no end of their own:
    lists in the column of their key.
    """

    old: int
    new: int
    is_list: bool = False
    loose: bool = False


class _Layout:
    """One pass over one text. `_line` is the line being written."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: list[str] = []
        self._line = ""
        self._keeps = False  # whether the line being written ends a `|+`
        self._fixed = 0  # lines that no blank line may be taken from: the end of a `|+`
        self._blocks: list[_Block] = []
        self._before: list[_Block] = []  # as it was behind the last token that is seen
        self._flow = 0  # how many brackets are open
        self._flow_column = 0
        self._at_key = False

    def written(self) -> str:
        """Return the text in its new layout."""
        at, last = 0, None
        for token in _tokens(self._text):
            self._follow(token)
            if token.start_mark.index == token.end_mark.index and not isinstance(token, tokens.StreamEndToken):
                continue
            self._fill(self._text[at : token.start_mark.index], last, token)
            at = self._put(token)
            self._at_key = False
            self._before = list(self._blocks)
            if isinstance(token, _OPENING):
                self._open()
            last = token
        while len(self._lines) > self._fixed and not self._lines[-1]:
            self._lines.pop()
        return "".join(f"{line}\n" for line in self._lines)

    # ------------------------------------------------------------ where we are

    def _follow(self, token: Any) -> None:
        """Keep track of blocks and brackets up to `token`."""
        if isinstance(token, _CLOSING):
            self._flow -= 1
        elif self._flow:
            return
        elif isinstance(token, (tokens.BlockMappingStartToken, tokens.BlockSequenceStartToken)):
            is_list = isinstance(token, tokens.BlockSequenceStartToken)
            self._blocks.append(_Block(token.start_mark.column, self._inside(), is_list))
        elif isinstance(token, tokens.BlockEndToken):
            self._leave_loose()
            self._blocks.pop()
        elif isinstance(token, tokens.KeyToken):
            self._leave_loose()
            self._at_key = True
        elif isinstance(token, tokens.BlockEntryToken):
            if not (self._blocks and self._blocks[-1].is_list):
                self._blocks.append(_Block(token.start_mark.column, self._inside(), is_list=True, loose=True))
            self._at_key = True
        elif isinstance(token, tokens.ValueToken):
            self._at_key = True

    def _leave_loose(self) -> None:
        if self._blocks and self._blocks[-1].loose:
            self._blocks.pop()

    def _inside(self) -> int:
        """Return the column of what is one level further in."""
        return self._blocks[-1].new + STEP if self._blocks else 0

    def _open(self) -> None:
        if not self._flow:
            in_list = bool(self._blocks) and self._blocks[-1].is_list
            self._flow_column = self._inside() if in_list or not self._blocks else self._blocks[-1].new
        self._flow += 1

    def _column(self, token: Any) -> int:
        """Return the column of a token that is the first of its line."""
        if isinstance(token, _AT_LEFT):
            return 0
        if self._flow or isinstance(token, _CLOSING):
            return self._flow_column + STEP * self._flow
        return self._blocks[-1].new if self._at_key and self._blocks else self._inside()

    # ------------------------------------------------------------ what is written

    def _fill(self, gap: str, last: Any, token: Any) -> None:
        """Write what is between two tokens: a space, or comments and line ends."""
        if isinstance(token, tokens.StreamEndToken):
            gap += "\n"
        if "\n" not in gap and last is not None:
            self._line += _space(gap, last, token)
            return
        beside, *between, _ = gap.split("\n") if last is not None else ["", *gap.split("\n")]
        self._end_line(beside, last)
        column = self._column(token)
        for line in between:
            comment = line.strip()
            if comment:
                self._lines.append(" " * self._comment_column(line, token, column) + comment)
            elif len(self._lines) > self._fixed and self._lines[-1]:
                self._lines.append("")
        self._line = " " * column

    def _end_line(self, beside: str, last: Any) -> None:
        """Write the end of a line: `beside` is what stands behind its last token."""
        if last is None:
            return
        line, comment = self._line.rstrip(), beside.strip()
        if comment:
            column = last.end_mark.column + len(beside) - len(beside.lstrip())
            line += " " * max(_BEFORE_COMMENT, column - len(line)) + comment
        self._lines.append(line)
        if self._keeps:
            self._fixed, self._keeps = len(self._lines), False

    def _comment_column(self, line: str, token: Any, column: int) -> int:
        """Return where a comment on a line of its own goes: with what follows, or with the block it stands under."""
        if self._flow or isinstance(token, _CLOSING):
            return self._flow_column + STEP * (self._flow + isinstance(token, _CLOSING))
        old = len(line) - len(line.lstrip())
        follows = token.start_mark.column
        if old == follows or not self._before or follows > self._before[-1].old:
            return column
        return next((block.new for block in reversed(self._before) if block.old <= old), column)

    def _put(self, token: Any) -> int:
        """Write a token; return where the text goes on."""
        start: int = token.start_mark.index
        end: int = token.end_mark.index
        raw = self._text[start:end]
        if not isinstance(token, tokens.ScalarToken):
            self._line += raw.rstrip()
        elif token.style in {"|", ">"}:
            return start + self._put_block(raw)
        elif "\n" in raw:
            first, *rest = raw.split("\n")
            inner = self._flow_column + STEP * self._flow if self._flow else self._inside()
            self._lines += [self._line + first.rstrip(), *(_indented(line.strip(), inner) for line in rest[:-1])]
            self._line = " " * inner + rest[-1].strip()
        else:
            self._line += f'"{raw[1:-1]}"' if _PLAINLY_QUOTED.fullmatch(raw) else raw
        return start + len(raw.rstrip()) if isinstance(token, _AT_LEFT) else end

    def _put_block(self, raw: str) -> int:
        """Write a text block, its lines moved as one; return its length without the blank lines behind it."""
        head = raw.partition("\n")[0]
        self._keeps, sized = "+" in head.partition("#")[0], re.search(r"\d", head.partition("#")[0])
        raw = raw.removesuffix("\n") if self._keeps else _BLANK_END.sub("", raw)
        body = raw.split("\n")[1:]
        parent = self._blocks[-1]
        full = next((line for line in body if line.strip()), "")
        old = parent.old + int(sized[0]) if sized else len(full) - len(full.lstrip(" "))
        new = parent.new + int(sized[0]) if sized else self._inside()
        self._lines.append((self._line + head).rstrip())
        self._lines += [_indented(line[old:], new) for line in body]
        self._line = self._lines.pop()
        return len(raw)


def _tokens(text: str) -> Iterator[Any]:
    parser = CParser(text)
    while (token := parser.get_token()) is not None:
        yield token


def _space(gap: str, last: Any, token: Any) -> str:
    """Return the space between two tokens of one line."""
    if isinstance(last, _SPACE_BEHIND):
        return " "
    return "" if isinstance(last, _OPENING) or isinstance(token, _TIGHT_BEFORE) else gap


def _indented(line: str, column: int) -> str:
    return " " * column + line if line else ""
