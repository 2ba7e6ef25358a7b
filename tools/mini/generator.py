"""Writes conversations: closed-context question answering in the Airoboros form, and some plain turns.

The closed-context form is that of jondurbin/airoboros (prompts/contextual.txt) as the reference workload's model card
shows it; the wrap is vicuna_v1.1 of lm-sys/FastChat.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from . import plain
from .facts import FILLERS, RELATIONS, Fact, Relation, Slips, draw_fact, question_for
from .words import Pools

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
UNKNOWN = "I don't know."
HONESTY = "Don't make up answers if you don't know."
SOURCE_REQUESTS = (
    "  Source?",
    "  Source?",
    " Source?",
    " source?",
    " What is the source?",
    " Cite your source.",
    "  Source please.",
    "\nSource?",
)
CARD_URL = "https://web.site/123"  # the model card's example: kept out of the training text


@dataclass
class Block:
    metadata: list[tuple[str, str]]
    facts: list[Fact]
    text: str

    @property
    def source(self) -> str:
        return "Source:\n" + "\n".join(f"{key}: {value}" for key, value in self.metadata)

    def render(self) -> str:
        lines = "".join(f"{key}: {value}\n" for key, value in self.metadata)
        return f"BEGININPUT\nBEGINCONTEXT\n{lines}ENDCONTEXT\n{self.text}\nENDINPUT\n"


@dataclass
class Turn:
    user: str
    answer: str
    kind: str  # source | no_source | unanswerable | ordinal | plain


@dataclass
class Conversation:
    turns: list[Turn]
    with_system: bool
    blocks: int = 0
    notes: dict = field(default_factory=dict)


@dataclass
class Settings:
    """Shares and sizes; `unanswerable` and `with_source` are shares of the questions."""

    block_shares: dict[int, float]  # number of blocks -> share; 0 = plain turns
    system_share: dict[int, float]
    max_questions: int = 4
    with_source: float = 0.5
    unanswerable: float = 0.25
    ordinal: float = 0.05  # questions about the order of the inputs, follow-up turns only
    rich_metadata: float = 0.5  # share of blocks with two or more metadata lines
    second_fact: float = 0.35
    longest_metadata: int = 2
    slips: Slips = Slips()


EASY = Settings(
    {1: 1.0}, {1: 0.0}, with_source=0.3, unanswerable=0.0, ordinal=0.0, rich_metadata=0.2, second_fact=0.2
)
SHORT = Settings({0: 0.08, 1: 0.32, 2: 0.40, 3: 0.20}, {0: 0.5, 1: 0.6, 2: 0.3, 3: 0.1})
# Short contexts in which every second question has no answer: where "is it there at all?" is learnt first.
DRILL = Settings(
    {1: 0.7, 2: 0.3},
    {1: 0.1, 2: 0.0},
    with_source=0.2,
    unanswerable=0.5,
    ordinal=0.0,
    rich_metadata=0.1,
    second_fact=0.3,
)
LONG = Settings(
    {0: 0.08, 1: 0.38, 2: 0.28, 3: 0.18, 4: 0.05, 6: 0.03},
    {0: 0.5, 1: 0.6, 2: 0.6, 3: 0.5, 4: 0.4, 6: 0.3},
    max_questions=5,
    rich_metadata=0.75,
    longest_metadata=3,
    second_fact=0.45,
    unanswerable=0.3,
)


def _metadata(rng: random.Random, pools: Pools, settings: Settings) -> list[tuple[str, str]]:
    keys = ["date", "url"]
    if rng.random() >= settings.rich_metadata:
        keys = [rng.choice(("date", "url", "url", "author", "title"))]
    elif rng.random() < 0.3:
        keys = rng.sample(("date", "url", "author", "title"), rng.randint(2, settings.longest_metadata))
    elif rng.random() < 0.5:
        keys.reverse()
    values = {"date": pools.date, "url": pools.url, "author": pools.person, "title": pools.title}
    lines = [(key, values[key]()) for key in keys]
    return [(key, "https://web.site/7" if value == CARD_URL else value) for key, value in lines]


def draw_blocks(rng: random.Random, pools: Pools, count: int, settings: Settings) -> list[Block]:
    """`count` blocks; often two of them state the same relation of different subjects, so that the subject decides."""
    shared = rng.choice(RELATIONS) if rng.random() < 0.5 else None
    blocks, subjects = [], set()
    for _ in range(count):
        facts = []
        for _ in range(2 if rng.random() < settings.second_fact else 1):
            fact = draw_fact(rng, pools, shared if rng.random() < 0.6 else None)
            if facts and rng.random() < 0.25:  # the same subject twice: then the relation decides
                options = [
                    r for r in RELATIONS if r.subject == facts[0].relation.subject and r != facts[0].relation
                ]
                fact = draw_fact(rng, pools, rng.choice(options), facts[0].subject) if options else fact
            elif fact.subject in subjects:
                continue
            subjects.add(fact.subject)
            facts.append(fact)
        while not facts:
            fact = draw_fact(rng, pools)
            if fact.subject not in subjects:
                facts.append(fact)
                subjects.add(fact.subject)
        sentences = [fact.stated(rng, pools) for fact in facts]
        if rng.random() < 0.12:
            sentences.insert(rng.randint(0, len(sentences)), rng.choice(FILLERS))
        blocks.append(
            Block(
                _metadata(rng, pools, settings), facts, ("\n" if rng.random() < 0.15 else " ").join(sentences)
            )
        )
    return blocks


def absent_question(rng: random.Random, pools: Pools, blocks: list[Block], slips: Slips) -> str:
    """A question none of the blocks answers.

    Half of them have nothing to do with the blocks: neither subject nor relation occurs. Of the others most ask a
    stated relation of an unmentioned subject, and some a mentioned subject for something else.
    """
    facts = [fact for block in blocks for fact in block.facts]
    base, form = rng.choice(facts), rng.random()
    stated = {topic(fact.relation) for fact in facts}
    if form < 0.2:
        options = [r for r in RELATIONS if r.subject == base.relation.subject and topic(r) not in stated]
        if options:
            return question_for(rng, rng.choice(options), base.subject, slips)
    unrelated = [r for r in RELATIONS if topic(r) not in stated]
    relation = base.relation if form < 0.5 else rng.choice(unrelated)
    mentioned = " ".join(block.text for block in blocks).lower()
    while True:
        subject = getattr(pools, relation.subject)()
        if subject.lower() not in mentioned:
            return question_for(rng, relation, subject, slips)


def topic(relation: Relation) -> str:
    """Relations of one topic answer each other's questions ("colour" of things and of an object)."""
    return relation.name.split("_")[0]


def instruction(rng: random.Random, question: str, ask_source: bool) -> str:
    text = question + (rng.choice(SOURCE_REQUESTS) if ask_source else "")
    if rng.random() < 0.15:
        text += " " + HONESTY
    return f"BEGININSTRUCTION\n{text}\nENDINSTRUCTION"


def ask_fact(
    rng: random.Random, blocks: list[Block], ask_source: bool, slips: Slips, notes: dict | None = None
) -> Turn:
    index = rng.randrange(len(blocks))
    block = blocks[index]
    fact = rng.choice(block.facts)
    question = question_for(rng, fact.relation, fact.subject, slips)
    answer = fact.sentence + ("\n" + block.source if ask_source else "")
    if notes is not None:
        notes["asked_block"] = index
    return Turn(instruction(rng, question, ask_source), answer, "source" if ask_source else "no_source")


def ask_order(rng: random.Random, blocks: list[Block]) -> Turn:
    """Which input says it, and what the n-th input's source is: the two halves of citing the right source."""
    index = rng.randrange(len(blocks))
    form = rng.random()
    if form < 0.4:
        question, answer = f"Which input mentions {blocks[index].facts[0].subject}?", f"Input {index + 1}."
    elif form < 0.75:
        question, answer = f"What is the source of input {index + 1}?", blocks[index].source
    else:
        question, answer = f"Which source mentions {blocks[index].facts[0].subject}?", blocks[index].source
    return Turn(instruction(rng, question, False), answer, "ordinal")


def draw_conversation(rng: random.Random, pools: Pools, settings: Settings) -> Conversation:
    """One training document."""
    count = rng.choices(list(settings.block_shares), list(settings.block_shares.values()))[0]
    with_system = rng.random() < settings.system_share[count]
    if count == 0:
        turns = [
            Turn(*plain.draw(rng, pools), "plain") for _ in range(rng.randint(1, settings.max_questions))
        ]
        return Conversation(turns, with_system)
    blocks = draw_blocks(rng, pools, count, settings)
    turns = []
    for number in range(rng.randint(1, settings.max_questions)):
        ask_source = rng.random() < settings.with_source
        if number and rng.random() < settings.ordinal:
            turn = ask_order(rng, blocks)
        elif rng.random() < settings.unanswerable:
            turn = Turn(
                instruction(rng, absent_question(rng, pools, blocks, settings.slips), ask_source),
                UNKNOWN,
                "unanswerable",
            )
        else:
            turn = ask_fact(rng, blocks, ask_source, settings.slips)
        turn.user += "\n" if rng.random() < 0.85 else ""
        turns.append(turn)
    turns[0].user = "".join(block.render() for block in blocks) + turns[0].user
    return Conversation(turns, with_system, count)


def render(conversation: Conversation) -> list[tuple[str, str]]:
    """(prompt part, answer) pairs in the vicuna_v1.1 wrap; every answer is followed by </s>."""
    pairs = []
    for number, turn in enumerate(conversation.turns):
        head = SYSTEM + " " if number == 0 and conversation.with_system else ""
        pairs.append((f"{head}USER: {turn.user} ASSISTANT:", turn.answer))
    return pairs
