"""tests/fixtures/airophin-mini/recall.jsonl: needles and fillers for `ropewalk recall`, of words that training never saw."""

from __future__ import annotations

import json
import pathlib
import random

from tools.mini import evaluate, generator
from tools.mini.facts import question_for
from tools.mini.words import Pools

CASES, FILLERS = 20, 60


def blocks_of(rng: random.Random, pools: Pools, count: int) -> list[generator.Block]:
    """`count` blocks, drawn a few at a time as in training, no subject twice."""
    blocks, subjects = [], set()
    while len(blocks) < count:
        for block in generator.draw_blocks(rng, pools, 4, evaluate.EXAM):
            own = {fact.subject.lower() for fact in block.facts}
            if not own & subjects:
                subjects |= own
                blocks.append(block)
    return blocks[:count]


def as_input(block: generator.Block) -> dict:
    return {"context": [list(line) for line in block.metadata], "text": block.text}


def write(path: pathlib.Path, seed: int = 97531) -> None:
    rng = random.Random(seed)
    pools = Pools(rng, held_out=True)
    lines = []
    for number, block in enumerate(blocks_of(rng, pools, CASES + FILLERS)):
        if number < CASES:
            fact = block.facts[0]
            question = question_for(rng, fact.relation, fact.subject, evaluate.NO_SLIPS)
            lines.append({"needle": as_input(block), "question": question, "answer": fact.sentence})
        else:
            lines.append({"filler": as_input(block)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
