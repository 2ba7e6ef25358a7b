"""Token ids and loss weights of generated conversations, packed whole into windows."""

from __future__ import annotations

import random

import numpy as np
import sentencepiece as spm

from . import generator
from .words import Pools

BOS, EOS = 1, 2
CONTEXT_WEIGHT, ANSWER_WEIGHT = 0.2, 1.0


def encode(sp: spm.SentencePieceProcessor, pairs: list[tuple[str, str]]) -> tuple[list[int], list[float]]:
    """ids and the loss weight of each id as a target. Prompt and answer are encoded apart, as an engine meets them."""
    ids, weights = [BOS], [0.0]
    for prompt, answer in pairs:
        asked, answered = sp.encode(prompt), sp.encode(answer) + [EOS]
        ids += asked + answered
        weights += [CONTEXT_WEIGHT] * len(asked) + [ANSWER_WEIGHT] * len(answered)
    return ids, weights


class Windows:
    """An endless stream of windows of `length` tokens, each filled with whole documents, best fit first."""

    def __init__(self, sp: spm.SentencePieceProcessor, length: int, seed: int):
        self.sp, self.length = sp, length
        self.rng = random.Random(seed)
        self.pools = Pools(self.rng)
        self.shelf: list[tuple[list[int], list[float]]] = []

    def _refill(self, settings: generator.Settings) -> None:
        while len(self.shelf) < 48:
            conversation = generator.draw_conversation(self.rng, self.pools, settings)
            pairs = generator.render(conversation)
            ids, weights = encode(self.sp, pairs)
            while (
                len(ids) > self.length and len(pairs) > 1
            ):  # a long one loses its last questions, not its place
                pairs.pop()
                ids, weights = encode(self.sp, pairs)
            if len(ids) <= self.length:
                self.shelf.append((ids, weights))

    def window(self, settings: generator.Settings) -> tuple[np.ndarray, np.ndarray]:
        """(ids [length], weights [length]); the unused end has id 0 and weight 0."""
        ids, weights = np.zeros(self.length, np.int64), np.zeros(self.length, np.float32)
        self._refill(settings)
        used, chosen = 0, 0  # the oldest document first, so that long ones are not left on the shelf
        while chosen is not None:
            document, weight = self.shelf.pop(chosen)
            ids[used : used + len(document)] = document
            weights[used : used + len(document)] = weight
            used += len(document)
            fitting = [i for i, (d, _) in enumerate(self.shelf) if len(d) <= self.length - used]
            chosen = max(fitting, key=lambda i: len(self.shelf[i][0]), default=None)
        return ids, weights

    def batch(self, size: int, settings: generator.Settings) -> tuple[np.ndarray, np.ndarray]:
        rows = [self.window(settings) for _ in range(size)]
        return np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
