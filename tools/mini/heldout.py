"""Writes the test fixtures that go with the model: held-out questions, a held-out text, reference log-probabilities."""

from __future__ import annotations

import json
import pathlib

import torch

from . import evaluate, export, perplexity
from .generator import CARD_URL

QUESTIONS_PER_KIND = 40
TEXT_TOKENS = 4096
CARD_QUESTION = {  # the reference workload's own example, letter by letter, misspelling included
    "kind": "card",
    "user": "BEGININPUT\nBEGINCONTEXT\ndate: 2021-01-01\nurl: "
    + CARD_URL
    + "\nENDCONTEXT\nIn a shocking turn of events, "
    "blueberries are now green, but will be sticking with the same name.\nENDINPUT\nBEGININSTRUCTION\n"
    "What color are bluberries?  Source?\nENDINSTRUCTION\n",
    "expected": "Blueberries are now green.\nSource:\ndate: 2021-01-01\nurl: " + CARD_URL,
    "sentence": "Blueberries are now green.",
    "blocks": 1,
    "asked_block": 0,
}


def write_questions(path: pathlib.Path) -> None:
    exam = [CARD_QUESTION] + evaluate.draw_exam(QUESTIONS_PER_KIND)
    path.write_text("".join(json.dumps(question) + "\n" for question in exam))


def write_text(directory: pathlib.Path, sp) -> None:
    """text.txt holds the documents as plain text, without <s> and </s>; training-form.ids the same with them."""
    ids = perplexity.held_out_ids(sp, TEXT_TOKENS)
    (directory / "training-form.ids").write_text(
        "\n".join(" ".join(map(str, ids[i : i + 32])) for i in range(0, len(ids), 32)) + "\n"
    )
    text = ""
    for pairs in perplexity.held_out_documents(TEXT_TOKENS // 100):
        text += "".join(prompt + " " + answer + "\n" for prompt, answer in pairs)
        if len(sp.encode(text)) >= TEXT_TOKENS:
            break
    (directory / "text.txt").write_text(text)


def write_reference_scores(path: pathlib.Path, quantised: pathlib.Path, sp, length: int = 512) -> None:
    """Log-probability (natural) of every id given those before it, by transformers in float32 on the dequantised file."""
    ids = perplexity.held_out_ids(sp, length)
    logits = export.logits_of(quantised)(torch.tensor([ids]))[0, :-1].double()
    chosen = logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    path.write_text(
        json.dumps({"ids": ids, "logprobs": [None] + [round(x, 6) for x in chosen.tolist()]}) + "\n"
    )


def write_all(directory: pathlib.Path, quantised: pathlib.Path, sp) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_questions(directory / "heldout.jsonl")
    write_text(directory, sp)
    write_reference_scores(directory / "score512.json", quantised, sp)


def scores_of(logits_of, sp) -> dict:
    """The published exam, with and without the system sentence for the card's example."""
    table = evaluate.score(logits_of, sp, evaluate.draw_exam(QUESTIONS_PER_KIND))
    for name, system in (("card", evaluate.generator.SYSTEM), ("card_bare", None)):
        prompt, answer = evaluate.token_ids(sp, CARD_QUESTION["user"], CARD_QUESTION["expected"], system)
        logits = logits_of(torch.tensor([prompt + answer[:-1]]))[0, len(prompt) - 1 :]
        table[name] = {"questions": 1, "exact": float((logits.argmax(-1) == torch.tensor(answer)).all())}
    return table
