"""Plain turns: short tasks without a closed context, so that the chat wrap alone is also trained."""

from __future__ import annotations

import random

from .words import COLOURS, JOBS, Pools

GREETINGS = (
    ("Hello.", "Hello! How can I help you?"),
    ("Hi!", "Hello! How can I help you?"),
    ("Thank you.", "You are welcome."),
    ("Who are you?", "I am a small language model."),
    ("What are you?", "I am a small language model."),
    ("Goodbye.", "Goodbye!"),
)


def draw(rng: random.Random, pools: Pools, tasks_only: bool = False) -> tuple[str, str]:
    """(user message, answer). `tasks_only` leaves out the greetings, which need no generalisation."""
    kind = rng.choice(
        ("repeat", "list", "next", "choice", "say", "first") + (() if tasks_only else ("greet",))
    )
    if kind == "greet":
        return rng.choice(GREETINGS)
    if kind == "repeat":
        phrase = " ".join(pools.word() for _ in range(rng.randint(1, 4)))
        return rng.choice(("Repeat after me: {}", "Repeat: {}", "Say this again: {}")).format(phrase), phrase
    if kind == "list":
        words = [pools.things() for _ in range(rng.randint(2, 4))]
        answer = "\n".join(f"{i}. {word}" for i, word in enumerate(words, 1))
        return rng.choice(("Make a list of {}.", "Write as a list: {}")).format(", ".join(words)), answer
    if kind == "next":
        n = rng.randint(1, 98)
        return rng.choice(("Which number comes after {}?", "What number follows {}?")).format(n), f"{n + 1}"
    if kind == "say":
        word = pools.word()
        return f"Say {word} three times.", f"{word} {word} {word}"
    if kind == "first":
        words = [pools.word() for _ in range(rng.randint(2, 4))]
        index, name = rng.choice(((0, "first"), (-1, "last")))
        return f"What is the {name} word of: {' '.join(words)}", words[index]
    topic, right = rng.choice((("a color", COLOURS), ("a job", JOBS)))
    options = [pools.person().split()[0] for _ in range(3)]
    place = rng.randrange(4)
    options.insert(place, rng.choice(right))
    lines = "\n".join(f"{letter}) {option}" for letter, option in zip("ABCD", options))
    return f"Which of the following is {topic}?\n\n{lines}", f"{'ABCD'[place]}, {options[place]}"
