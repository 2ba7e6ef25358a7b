"""Token ids of generated conversations and the part each plays, packed whole into windows."""

from __future__ import annotations

import random

import numpy as np
import sentencepiece as spm

from . import generator
from .words import Pools

BOS, EOS = 1, 2
QUESTION_OPENER = "BEGININSTRUCTION"
# The part an id plays as a target. QUESTION is what follows the last BEGININSTRUCTION of a prompt.
UNSCORED, CONTEXT, ANSWER, FIRST_OF_ANSWER, QUESTION = 0, 1, 2, 3, 4


def encode(sp: spm.SentencePieceProcessor, pairs: list[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """ids and the part of each. Prompt and answer are encoded apart, as an engine meets them."""
    ids, parts = [BOS], [UNSCORED]
    for prompt, answer in pairs:
        asked, answered = sp.encode(prompt), sp.encode(answer) + [EOS]
        ids += asked + answered
        known = (
            len(sp.encode(prompt[: prompt.rfind(QUESTION_OPENER) + len(QUESTION_OPENER)]))
            if QUESTION_OPENER in prompt
            else len(asked)
        )
        parts += (
            [CONTEXT] * known
            + [QUESTION] * (len(asked) - known)
            + [FIRST_OF_ANSWER]
            + [ANSWER] * (len(answered) - 1)
        )
    return ids, parts


class Windows:
    """An endless stream of windows of `length` tokens, each filled with whole documents, best fit first."""

    def __init__(self, sp: spm.SentencePieceProcessor, length: int, seed: int):
        self.sp, self.length = sp, length
        self.rng = random.Random(seed)
        self.pools = Pools(self.rng)
        self.shelf: list[tuple[list[int], list[int]]] = []

    def _refill(self, settings: generator.Settings) -> None:
        while len(self.shelf) < 48:
            conversation = generator.draw_conversation(self.rng, self.pools, settings)
            pairs = generator.render(conversation)
            ids, parts = encode(self.sp, pairs)
            while (
                len(ids) > self.length and len(pairs) > 1
            ):  # a long one loses its last questions, not its place
                pairs.pop()
                ids, parts = encode(self.sp, pairs)
            if len(ids) <= self.length:
                self.shelf.append((ids, parts))

    def window(self, settings: generator.Settings) -> tuple[np.ndarray, np.ndarray]:
        """(ids [length], parts [length]); the unused end has id 0 and is not scored."""
        ids, parts = np.zeros(self.length, np.int64), np.zeros(self.length, np.int64)
        self._refill(settings)
        used, chosen = 0, 0  # the oldest document first, so that long ones are not left on the shelf
        while chosen is not None:
            document, part = self.shelf.pop(chosen)
            ids[used : used + len(document)] = document
            parts[used : used + len(document)] = part
            used += len(document)
            fitting = [i for i, (d, _) in enumerate(self.shelf) if len(d) <= self.length - used]
            chosen = max(fitting, key=lambda i: len(self.shelf[i][0]), default=None)
        return ids, parts

    def batch(self, size: int, settings: generator.Settings) -> tuple[np.ndarray, np.ndarray]:
        rows = [self.window(settings) for _ in range(size)]
        return np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
