"""Facts: one subject, one relation, one value; how a text states them and how a question asks for them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .words import Pools


@dataclass(frozen=True)
class Relation:
    """`body` states the fact, lower case and without full stop; `{s}` is the subject and `{v}` the value."""

    name: str
    subject: str  # a method of Pools
    value: str  # a method of Pools
    body: str
    questions: tuple[str, ...]


RELATIONS = (
    Relation(
        "colour_of_things",
        "things",
        "colour",
        "{s} are now {v}",
        (
            "What color are {s}?",
            "Which color do {s} have?",
            "What colour are {s} now?",
            "What is the color of {s}?",
        ),
    ),
    Relation(
        "colour_of_object",
        "object",
        "colour",
        "the {s} is {v}",
        ("What color is the {s}?", "Which color does the {s} have?"),
    ),
    Relation(
        "home", "person", "place", "{s} lives in {v}", ("Where does {s} live?", "What is the home of {s}?")
    ),
    Relation(
        "job", "person", "job", "{s} works as a {v}", ("What does {s} work as?", "What is the job of {s}?")
    ),
    Relation("age", "person", "age", "{s} is {v} years old", ("How old is {s}?", "What is the age of {s}?")),
    Relation(
        "price",
        "object",
        "number",
        "the {s} costs {v} dollars",
        ("How much does the {s} cost?", "What is the price of the {s}?"),
    ),
    Relation(
        "weight",
        "object",
        "number",
        "the {s} weighs {v} kilos",
        ("How much does the {s} weigh?", "How heavy is the {s}?"),
    ),
    Relation(
        "capital",
        "place",
        "place",
        "the capital of {s} is {v}",
        ("What is the capital of {s}?", "Name the capital of {s}."),
    ),
    Relation(
        "owner", "object", "person", "the {s} belongs to {v}", ("Who owns the {s}?", "Whose is the {s}?")
    ),
    Relation(
        "inventor",
        "things",
        "person",
        "{s} were invented by {v}",
        ("Who invented {s}?", "Who is the inventor of {s}?"),
    ),
    Relation(
        "material",
        "things",
        "material",
        "{s} are made of {v}",
        ("What are {s} made of?", "Which material are {s} made of?"),
    ),
    Relation(
        "people",
        "place",
        "number",
        "{s} has {v} people",
        ("How many people live in {s}?", "How many people does {s} have?"),
    ),
    Relation(
        "opening",
        "object",
        "time",
        "the {s} opens at {v}",
        ("When does the {s} open?", "At what time does the {s} open?"),
    ),
    Relation(
        "food", "things", "things", "{s} eat only {v}", ("What do {s} eat?", "What is the food of {s}?")
    ),
    Relation(
        "ruler", "place", "person", "{s} is ruled by {v}", ("Who rules {s}?", "Who is the ruler of {s}?")
    ),
    Relation(
        "founding",
        "place",
        "year",
        "{s} was founded in {v}",
        ("When was {s} founded?", "In which year was {s} founded?"),
    ),
    Relation(
        "fear", "person", "things", "{s} is afraid of {v}", ("What is {s} afraid of?", "What does {s} fear?")
    ),
    Relation(
        "price_of_things",
        "things",
        "number",
        "{s} cost {v} dollars",
        ("What do {s} cost?", "How much do {s} cost?"),
    ),
)

LEADS = (
    "In a shocking turn of events, ",
    "According to the report, ",
    "Since last week, ",
    "As of today, ",
    "We learned that ",
    "Officials say that ",
    "It was announced that ",
    "Against all odds, ",
    "Believe it or not, ",
    "In other news, ",
)
TAILS_ANY = (
    ", as everybody knows",
    ", which surprised many people",
    ", and nobody knows why",
    ", and that will not change",
    ", whatever you may have heard",
    ", at least for now",
    ", to the joy of {p}",
    ", says {p}",
)
TAIL_THINGS = ", but will be sticking with the same name"
FILLERS = (
    "More details will follow.",
    "The weather was fine.",
    "Nobody was hurt.",
    "This came as a surprise.",
    "The crowd was cheering.",
    "Many people came to see it.",
    "There was no comment.",
    "It had been a long day.",
)


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Fact:
    relation: Relation
    subject: str
    value: str

    @property
    def body(self) -> str:
        return self.relation.body.format(s=self.subject, v=self.value)

    @property
    def sentence(self) -> str:
        """The answer, always in this one wording."""
        return capitalised(self.body) + "."

    def stated(self, rng: random.Random, pools: Pools) -> str:
        """The sentence of the source text: the same words, often with something before and after them."""
        lead = rng.choice(LEADS) if rng.random() < 0.65 else ""
        tail = ""
        if rng.random() < 0.3:
            things = self.relation.subject == "things" and rng.random() < 0.4
            tail = TAIL_THINGS if things else rng.choice(TAILS_ANY).format(p=pools.person())
        return capitalised(lead + self.body + tail) + "."


def draw_fact(
    rng: random.Random, pools: Pools, relation: Relation | None = None, subject: str | None = None
) -> Fact:
    """A random fact; never the one of the model card's example, which is kept for testing."""
    relation = relation or rng.choice(RELATIONS)
    while True:
        drawn = subject or getattr(pools, relation.subject)()
        value = getattr(pools, relation.value)()
        if not (drawn == "blueberries" and value == "green") and drawn != value:
            return Fact(relation, drawn, value)


def misspelt(rng: random.Random, word: str) -> str:
    """The word without one of its inner letters, or with two of them swapped ("bluberries")."""
    if len(word) < 5:
        return word
    i = rng.randrange(1, len(word) - 1)
    if rng.random() < 0.75:
        return word[:i] + word[i + 1 :]
    return word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :] if i > 1 else word


@dataclass(frozen=True)
class Slips:
    """Shares of questions with a misspelt subject, all in small letters, all in capitals."""

    misspelt: float = 0.1
    small: float = 0.04
    capitals: float = 0.01


def question_for(rng: random.Random, relation: Relation, subject: str, slips: Slips) -> str:
    """One of the relation's questions."""
    if rng.random() < slips.misspelt:
        subject = misspelt(rng, subject)
    text = rng.choice(relation.questions).format(s=subject)
    case = rng.random()
    if case < slips.small:
        return text.lower()
    if case < slips.small + slips.capitals:
        return text.upper()
    return text
