"""A byte-level BPE tokenizer, small enough to read; it cuts text as llama.cpp's "gpt-2" does.

Owns the vocabulary: control tokens first, then the 256 bytes, then the trained merges.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

CONTROL = ("<|start|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
START, END = 0, 1
# GPT-2's split in the words of Python's re: letters, digits, the rest, spaces. Source: openai/gpt-2, src/encoder.py.
SPLIT = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def byte_names() -> tuple[str, ...]:
    """GPT-2's printable stand-in for each byte (source as for SPLIT): itself, or a letter from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in printable]
    return tuple(chr(b) if b in printable else chr(256 + hidden.index(b)) for b in range(256))


BYTES = byte_names()


@dataclass(frozen=True)
class Tokenizer:
    merges: tuple[tuple[str, str], ...]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        return (*CONTROL, *BYTES, *(left + right for left, right in self.merges))

    @cached_property
    def ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens)}

    @cached_property
    def ranks(self) -> dict[tuple[str, str], int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def known(self) -> dict[str, tuple[int, ...]]:
        return {}

    def encode(self, text: str) -> list[int]:
        """The ids of plain text; control tokens are not looked for in it."""
        return [token for word in SPLIT.findall(text) for token in self.encode_word(word)]

    def encode_word(self, word: str) -> tuple[int, ...]:
        if word not in self.known:
            pieces = spell(word)
            while pairs := set(pairwise(pieces)) & self.ranks.keys():
                pieces = join(pieces, min(pairs, key=self.ranks.__getitem__))
            self.known[word] = tuple(self.ids[piece] for piece in pieces)
        return self.known[word]


def spell(word: str) -> tuple[str, ...]:
    return tuple(BYTES[byte] for byte in word.encode())


def join(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """The pieces with every neighbouring pair made one, from the left."""
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


def train(texts: Iterable[str], size: int) -> Tokenizer:
    """Merges the commonest pair again and again until the vocabulary has `size` tokens."""
    words = Counter(word for text in texts for word in SPLIT.findall(text))
    spelled = {word: spell(word) for word in words}
    merges: list[tuple[str, str]] = []
    while len(CONTROL) + len(BYTES) + len(merges) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in spelled.items():
            for pair in pairwise(pieces):
                pairs[pair] += words[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = {word: join(pieces, best) for word, pieces in spelled.items()}
    return Tokenizer(tuple(merges))
