"""Owns what happens to argv before click sees it: single dashes, flags before the command, INFCTL_CLI_ARGS.

Knows no command but by name. Imports nothing that costs start-up time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from infctl.frozen import dataclass

_SHORT = frozenset({"-f", "-h"})  # the only one-letter flags: `logs -f`, and help
_HELP = frozenset({"-help", "--help", "-h"})
_VERSION = frozenset({"-version", "--version", "-v"})


@dataclass(frozen=True, slots=True)
class Call:
    """One command line, normalised. `words` are for click; `chdir` is "" where none was given."""

    words: tuple[str, ...]
    chdir: str = ""
    color: bool = True


def normalise(argv: Sequence[str], env: Mapping[str, str], groups: Collection[str] = ()) -> Call:
    """Return argv with long flags as click wants them and with the arguments of the environment put in.

    `groups` names the commands that have commands of their own (`state list`). Arguments of the environment come
    right after the command, so that those typed win. Raises ValueError when the environment's cannot be split.
    """
    before, command, rest = _split(argv, groups)
    if command:
        rest = [*_extra(env, "INFCTL_CLI_ARGS"), *_extra(env, "_".join(["INFCTL_CLI_ARGS", *command])), *rest]
    leading, chdir = _take_chdir([double(word) for word in before])
    color = True
    words: list[str] = []
    for word, is_flag in _flags(rest):
        if is_flag and word in {"-no-color", "--no-color"}:
            color = False
        else:
            words.append(double(word) if is_flag else word)
    if "--no-color" in leading:
        color = False
        leading = [word for word in leading if word != "--no-color"]
    return Call((*leading, *command, *words), chdir, color)


def double(word: str) -> str:
    """Return `-out=x` as `--out=x`; one-letter flags, numbers and everything else stay as they are."""
    if word in _HELP:
        return "--help"
    if word in _VERSION:
        return "--version"
    name = word[1:].partition("=")[0]
    if not word.startswith("-") or word.startswith("--") or word in _SHORT or not name[:1].isalpha():
        return word
    return f"-{word}"


def _flags(words: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the words, each with whether it can be a flag: nothing after `--` is."""
    end = words.index("--") if "--" in words else len(words)
    return [(word, index < end) for index, word in enumerate(words)]


def _split(argv: Sequence[str], groups: Collection[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the words before the command, the command (two words for a group's), and the rest."""
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index].lstrip("-") == "chdir" else 1
    if index >= len(argv):
        return list(argv), [], []
    nested = argv[index] in groups and index + 1 < len(argv) and not argv[index + 1].startswith("-")
    end = index + (2 if nested else 1)
    return list(argv[:index]), list(argv[index:end]), list(argv[end:])


def _take_chdir(words: list[str]) -> tuple[list[str], str]:
    left: list[str] = []
    chdir = ""
    taking = False
    for word in words:
        if taking:
            chdir, taking = word, False
        elif word == "--chdir":
            taking = True
        elif word.startswith("--chdir="):
            chdir = word.partition("=")[2]
        else:
            left.append(word)
    return left, chdir


def _extra(env: Mapping[str, str], name: str) -> list[str]:
    text = env.get(name.replace("-", "_"), "")
    if not text:
        return []
    import shlex  # only who sets the variable pays for it

    return shlex.split(text)
