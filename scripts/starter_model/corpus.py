"""The training text: endless shuffled documents out of answers.txt and stories.txt.

Owns phrasing (how a person may ask) and mixing; knows nothing of tokens ids or networks.
A document is a tuple of turns (role, text); plain text is one turn of the role "text".
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

Turn = tuple[str, str]
Document = tuple[Turn, ...]

HERE = Path(__file__).parent
ASK = (
    "What is {}?",
    "What are {}?",
    "What's {}?",
    "What does {} mean?",
    "What do you know about {}?",
    "Tell me about {}.",
    "Explain {}.",
    "Explain {} to me.",
    "Can you explain {}?",
    "Please explain {}.",
    "Describe {}.",
    "Define {}.",
    "How does {} work?",
    "How do {} work?",
    "Why do I need {}?",
    "What is the use of {}?",
    "{}",
    "{}?",
)
TELL = (
    "Tell me a story about {}.",
    "Write a story about {}.",
    "A story about {}, please.",
    "Tell a short story about {}.",
)
TELL_ANY = (
    "Tell me a story.",
    "Write a story.",
    "A story please",
    "Do you know a story?",
    "Write a short story.",
    "Once more",
)
BEYOND = (
    "What is the capital of {}?|France|Spain|Japan|Brazil|Kenya|Norway|India|Canada|Italy|Peru|Germany|Egypt",
    "Who wrote {}?|Hamlet|Faust|the Odyssey|Dune|Emma|the Bible|Harry Potter|Moby Dick",
    "Who is {}?|the president|the king of Spain|Albert Einstein|my neighbour|Ada Lovelace|the tallest person|Batman",
    "How do I cook {}?|rice|pasta|an egg|soup|a cake|fish|beans|pancakes",
    "What is {} plus {}?|2|7|12|one|three|31|40|99|1000",
    "What is {} times {}?|2|7|12|nine|three|31|40|99",
    "Translate {} into {}.|cat|house|good morning|French|Latin|Spanish|German|water",
    "What is the weather in {}?|Paris|London|Rome|Berlin|Tokyo|New York|my town",
    "How tall is {}?|Mount Everest|the Eiffel Tower|a giraffe|an oak",
    "When did {} begin?|the war|history|the universe|the Olympic Games|football|the Middle Ages",
    "Write a {} function that sorts a list.|Python|Java|Rust|Go|C",
    "Write {} code for me.|Python|Java|Rust|SQL|HTML|C",
    "Who won {}?|the cup|the election|the match|the race|the world championship",
    "What is the best {}?|film|book|car|phone|restaurant|song|city|language",
    "Tell me about {}.|dinosaurs|Rome|the moon|music|cats|football|history|the sea|birds|physics",
    "What is {}?|a dog|a tree|gravity|the sun|a volcano|democracy|calculus|pizza|a black hole|photosynthesis|bread",
    "Why is the {} {}?|sky|sea|grass|snow|sun|blue|green|white|hot|salty",
    "Should I buy {}?|a house|a car|shares|a dog|gold|a boat",
    "Summarize {}.|this text|the news|my mail|the book",
)
UNKNOWN = (
    "I am a very small model, and that is beyond me. Ask me about plans, tokens, GPUs or rollbacks, "
    "or put a larger model into inference.yaml."
)
SYSTEM = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are hello.",
    "Be kind.",
    "You are an expert.",
    "Be concise.",
)


def read_answers() -> tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...]:
    """Each entry of answers.txt as (names, whole questions, answer)."""
    text = re.sub(r"^#.*\n", "", (HERE / "answers.txt").read_text("ascii"), flags=re.MULTILINE)
    entries = []
    for paragraph in text.strip().split("\n\n"):
        head, answer = paragraph.strip().split("\n", 1)
        names = tuple(head[2:].split("; ")) if head[0] == "=" else ()
        questions = tuple(head[2:].split(" | ")) if head[0] == "?" else ()
        entries.append((names, questions, answer))
    return tuple(entries)


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
        self.answers = read_answers()
        self.slots, self.frames = read_stories()

    def documents(self) -> Iterator[Document]:
        while True:
            if self.rng.random() < 0.6:
                yield self.conversation()
            else:
                yield (("text", self.plain()),)

    def conversation(self) -> Document:
        """One to three questions, each answered by itself: the model learns to look at the last one."""
        turns: list[Turn] = [("system", self.pick(SYSTEM))] if self.rng.random() < 0.15 else []
        for _ in range(int(self.rng.choice((1, 2, 3), p=(0.65, 0.25, 0.1)))):
            question, answer = self.exchange()
            turns += [("user", self.blur(question)), ("assistant", answer)]
        return tuple(turns)

    def plain(self) -> str:
        """A text to be continued: an answer, a story or a question with its answer, sometimes from its middle."""
        question, answer = self.exchange()
        shape = self.rng.random()
        if shape < 0.2:
            return f"{self.blur(question)}\n{answer}"
        if shape < 0.4 and " " in answer:
            words = answer.split(" ")
            return " ".join(words[int(self.rng.integers(len(words) - 1)) :])
        return answer

    def exchange(self) -> tuple[str, str]:
        kind = self.rng.random()
        if kind < 0.14:
            return self.story()
        if kind < 0.24:
            return self.beyond(), UNKNOWN
        names, questions, answer = self.answers[int(self.rng.integers(len(self.answers)))]
        if questions:
            return self.pick(questions), answer
        return self.pick(ASK).format(self.pick(names)), answer

    def story(self) -> tuple[str, str]:
        topics, frame = self.frames[int(self.rng.integers(len(self.frames)))]
        ask = self.pick(TELL).format(self.pick(topics)) if self.rng.random() < 0.7 else self.pick(TELL_ANY)
        chosen = {slot: self.pick(fillers) for slot, fillers in self.slots.items()}
        return ask, re.sub(r"(^|\. )?\{(\w+)\}", lambda slot: fill(slot, chosen), frame)

    def beyond(self) -> str:
        """A question outside the little world of answers.txt."""
        template, *fillers = self.pick(BEYOND).split("|")
        return template.format(self.pick(fillers), self.pick(fillers))

    def blur(self, question: str) -> str:
        """The question as a hurried person may type it: no capitals, no question mark."""
        if self.rng.random() < 0.25:
            question = question.lower()
        elif self.rng.random() < 0.3:
            question = question[:1].upper() + question[1:]
        if self.rng.random() < 0.25:
            question = question.rstrip("?.! ")
        return question

    def pick(self, choices: tuple[str, ...] | list[str]) -> str:
        return choices[int(self.rng.integers(len(choices)))]


def fill(slot: re.Match[str], chosen: dict[str, str]) -> str:
    text = chosen[slot[2]]
    return text if slot[1] is None else slot[1] + text[0].upper() + text[1:]
