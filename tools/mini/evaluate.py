"""Scores a model on held-out questions, one kind at a time.

Greedy decoding gives exactly the expected answer if and only if, with that answer fed in, the model's first choice at
each of its places is the right token. So one forward pass scores a question and no generation is needed.
"""

from __future__ import annotations

import random

import torch

from . import generator, plain
from .documents import BOS, EOS
from .facts import Slips
from .words import Pools

KINDS = (
    "one_block_source",
    "two_block_source",
    "three_block_source",
    "no_source",
    "unanswerable",
    "misspelt",
    "plain",
)
EXAM = generator.Settings({}, {}, rich_metadata=0.75, longest_metadata=3)
NO_SLIPS = Slips(misspelt=0, small=0, capitals=0)
MISSPELT = Slips(misspelt=1, small=0, capitals=0)


def draw_question(rng: random.Random, pools: Pools, kind: str) -> dict:
    """One held-out question: user message, expected answer, its first line."""
    if kind == "plain":
        user, expected = plain.draw(rng, pools, tasks_only=True)
        return {"kind": kind, "user": user, "expected": expected, "sentence": expected.split("\n")[0]}
    fixed = {"one_block_source": 1, "two_block_source": 2, "three_block_source": 3, "misspelt": 1}
    count = fixed.get(kind) or rng.randint(1, 3)
    blocks = generator.draw_blocks(rng, pools, count, EXAM)
    notes: dict = {"blocks": count}
    if kind == "unanswerable":
        asked = generator.absent_question(rng, pools, blocks, NO_SLIPS)
        turn = generator.Turn(generator.instruction(rng, asked, rng.random() < 0.5), generator.UNKNOWN, kind)
    else:
        slips = MISSPELT if kind == "misspelt" else NO_SLIPS
        turn = generator.ask_fact(rng, blocks, kind != "no_source", slips, notes)
    user = "".join(block.render() for block in blocks) + turn.user + "\n"
    return {
        "kind": kind,
        "user": user,
        "expected": turn.answer,
        "sentence": turn.answer.split("\n")[0],
    } | notes


def draw_exam(count: int, seed: int = 20240229) -> list[dict]:
    """`count` questions of each kind, of words that training never saw."""
    rng = random.Random(seed)
    pools = Pools(rng, held_out=True)
    return [draw_question(rng, pools, kind) for kind in KINDS for _ in range(count)]


def token_ids(
    sp, user: str, expected: str, system: str | None = generator.SYSTEM
) -> tuple[list[int], list[int]]:
    head = system + " " if system else ""
    return [BOS] + sp.encode(f"{head}USER: {user} ASSISTANT:"), sp.encode(expected) + [EOS]


@torch.no_grad()
def score(logits_of, sp, exam: list[dict]) -> dict[str, dict[str, float]]:
    """Per kind: the share of exact answers, and of answers whose first line is right.

    `logits_of` maps ids [1, time] to logits [1, time, vocab].
    """
    table: dict[str, dict[str, float]] = {}
    for question in exam:
        prompt, answer = token_ids(sp, question["user"], question["expected"])
        logits = logits_of(torch.tensor([prompt + answer[:-1]]))[0, len(prompt) - 1 :]
        right = (logits.argmax(-1) == torch.tensor(answer)).tolist()
        first_line = len(sp.encode(question["sentence"])) + 1  # with the newline or </s> that ends it
        row = table.setdefault(question["kind"], {"questions": 0, "exact": 0, "sentence": 0})
        row["questions"] += 1
        row["exact"] += all(right)
        row["sentence"] += all(right[:first_line])
    for row in table.values():
        row["exact"] = round(row["exact"] / row["questions"], 4)
        row["sentence"] = round(row["sentence"] / row["questions"], 4)
    return table


def quick_scores(model, sp, rope_factor: float, count: int = 20) -> dict:
    """A short exam during training: exact/sentence per kind, seed apart from the published exam's."""
    table = score(lambda ids: model(ids, rope_factor), sp, draw_exam(count, seed=77))
    return {kind: f"{row['exact']:.2f}/{row['sentence']:.2f}" for kind, row in table.items()}
