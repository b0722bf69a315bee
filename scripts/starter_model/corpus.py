"""The training text: endless shuffled documents out of answers.txt and stories.txt.

Owns phrasing (how a person may ask) and mixing; knows nothing of tokens or networks.
A document is a tuple of turns (role, text). Besides the roles of a chat there are "text", to be learned as it is,
"begin", how an assistant's answer begins, and "skip", which only leads to what comes next.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from starter_model.phrases import (
    AFTER,
    ASK,
    BEFORE,
    BEYOND,
    LOST,
    SMALL_WORDS,
    SYSTEM,
    TELL,
    TELL_ANY,
    UNKNOWN,
)

Turn = tuple[str, str]
Document = tuple[Turn, ...]

T = TypeVar("T")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A thing we know: how it may be asked for, by name or in whole questions, and what to say."""

    names: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str


def read_lines(name: str) -> list[str]:
    return [line for line in (HERE / name).read_text("ascii").splitlines() if not line.startswith("# ")]


def read_answers() -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of answers.txt, and its texts that no question leads to."""
    text = re.sub(r"^#.*\n", "", (HERE / "answers.txt").read_text("utf-8"), flags=re.MULTILINE)
    entries, texts = [], []
    for paragraph in text.strip().split("\n\n"):
        head, body = paragraph.strip().split("\n", 1)
        if head[0] == "=":
            entries.append(Entry(tuple(head[2:].split("; ")), (), body))
        elif head[0] == "?":
            entries.append(Entry((), tuple(head[2:].split(" | ")), body))
        else:
            texts += body.split("\n")
    return tuple(entries), tuple(texts)


def read_stories() -> tuple[dict[str, list[str]], tuple[tuple[tuple[str, ...], str], ...]]:
    """The fillers of each slot, and each story frame as (topics, text)."""
    slots: dict[str, list[str]] = {}
    frames = []
    lines = (HERE / "stories.txt").read_text("ascii").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("@ "):
            name, fillers = line[2:].split(": ", 1)
            slots[name] = fillers.split(" | ")
        elif line.startswith("# topic: "):
            frames.append((tuple(line[9:].split(" | ")), following))
    return slots, tuple(frames)


class Corpus:
    """Draws documents; the same seed gives the same documents in the same order."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.entries, self.texts = read_answers()
        self.slots, self.frames = read_stories()
        self.openings = read_lines("openings.txt")
        self.strange = " | ".join(read_lines("strange.txt")).split(" | ")

    def documents(self) -> Iterator[Document]:
        while True:
            yield self.conversation() if self.rng.random() < 0.75 else self.plain()

    def conversation(self) -> Document:
        """Some questions, each answered by itself: the model learns to look at the last one."""
        turns: list[Turn] = [("system", self.pick(SYSTEM))] if self.rng.random() < 0.2 else []
        for _ in range(int(self.rng.choice((1, 2, 3, 8), p=(0.6, 0.2, 0.15, 0.05)))):
            question, answer = self.exchange()
            turns += [("user", self.blur(question)), ("assistant", answer)]
        if self.rng.random() < 0.7:  # an answer is soon known by heart; what needs practice is which one to begin
            turns[-1] = ("begin", " ".join(turns[-1][1].split(" ")[:6]))
        return tuple(turns)

    def plain(self) -> Document:
        """A text to be continued: by itself, after its question, from its middle, or one that we cannot continue."""
        shape = self.rng.random()
        if shape < 0.12:
            return ("skip", self.opening()), ("text", LOST)
        if shape < 0.3:
            return (("text", self.pick(self.texts)),)
        if shape < 0.35:
            return (("text", "\n\n".join(self.exchange()[1] for _ in range(3))),)
        question, answer = self.exchange()
        if shape < 0.5:
            return ("skip", self.blur(question)), ("text", f"\n{answer}")
        if shape < 0.65:
            sentences = answer.split(". ")
            return (("text", ". ".join(sentences[int(self.rng.integers(len(sentences))) :])),)
        if shape < 0.75:
            return (("text", answer[0].lower() + answer[1:]),)
        return (("text", answer),)

    def exchange(self) -> tuple[str, str]:
        kind = self.rng.random()
        if kind < 0.15:
            return self.story()
        if kind < 0.27:
            return self.beyond(), UNKNOWN
        entry = self.entries[int(len(self.entries) * self.rng.random() ** 1.3)]  # the first ones come up most
        if entry.questions:
            return self.pick(entry.questions), entry.answer
        return self.pick(ASK).format(self.pick(entry.names)), entry.answer

    def opening(self) -> str:
        """A beginning that means nothing to us: a known one, or a few words of other questions."""
        if self.rng.random() < 0.5:
            return self.pick(self.openings)
        words = f"{self.beyond()} {self.beyond()}".split()
        self.rng.shuffle(words)
        return " ".join(words[: int(self.rng.integers(2, 7))]).rstrip("?.!")

    def story(self) -> tuple[str, str]:
        topics, frame = self.frames[int(self.rng.integers(len(self.frames)))]
        ask = self.pick(TELL).format(self.pick(topics)) if self.rng.random() < 0.7 else self.pick(TELL_ANY)
        chosen = {slot: self.pick(fillers) for slot, fillers in self.slots.items()}
        return ask, re.sub(r"(^|\. )?\{(\w+)\}", lambda slot: fill(slot, chosen), frame)

    def beyond(self) -> str:
        """A question outside the little world of answers.txt."""
        if self.rng.random() < 0.5:
            return self.pick(ASK).format(self.pick(self.strange))
        template, *fillers = self.pick(BEYOND).split("|")
        return template.format(self.pick(fillers), self.pick(fillers))

    def blur(self, question: str) -> str:
        """The question as a hurried person may type it: no capitals, words left out, a letter lost."""
        chances = self.rng.random(6)
        if chances[0] < 0.1:
            question = self.pick(BEFORE) + question[0].lower() + question[1:]
        if chances[1] < 0.1:
            question += self.pick(AFTER)
        if chances[2] < 0.1:
            words = question.split(" ")
            question = " ".join(w for w in words if w.lower() not in SMALL_WORDS or self.rng.random() < 0.5) or question
        if chances[3] < 0.08 and len(question) > 12:
            at = int(self.rng.integers(len(question)))
            question = question[:at] + question[at + 1 :]
        if chances[4] < 0.25:
            question = question.lower()
        return question.rstrip("?.! ") or question if chances[5] < 0.25 else question

    def pick(self, choices: Sequence[T]) -> T:
        return choices[int(self.rng.integers(len(choices)))]


def fill(slot: re.Match[str], chosen: dict[str, str]) -> str:
    text = chosen[slot[2]]
    return text if slot[1] is None else slot[1] + text[0].upper() + text[1:]
