"""Ropewalk's own figures, as the CSV files that the document is made of."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import subprocess

from tools.mini import perplexity, tokenizer

from .policies import FACTOR
from .relatives import SEEDS, by_parts, relatives

TOKENS = 24576  # a multiple of 512 and 768
LAST = 64  # positions at the end of each window, scored apart


class Program:
    def __init__(self, path: pathlib.Path, config: pathlib.Path):
        self.path, self.config = path, config

    def __call__(self, command: str, *options: str) -> str:
        """stdout of `ropewalk COMMAND CONFIG OPTION...`."""
        words = [str(self.path), command, str(self.config), "--quiet", *options]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def write_text(tokenizer_path: pathlib.Path, path: pathlib.Path) -> None:
    """Held-out documents in the training form, as ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = perplexity.held_out_ids(tokenizer.load(tokenizer_path), TOKENS)
    path.write_text(" ".join(map(str, ids)) + "\n")


def base_policies(base_context: int) -> list[dict]:
    return [
        {"policy": "none"},
        {"policy": "ntk", "alpha": FACTOR},
        {"policy": "dynamic-ntk", "factor": FACTOR},
        by_parts(base_context),
        {"policy": "yarn", "factor": FACTOR, "original_max_position_embeddings": base_context},
    ]


def subjects(base_context: int):
    """(relative, seed or "", folder's name, rope block) of every line in the plot."""
    for rope in base_policies(base_context):
        yield "base", "", "base", rope
    for relative in relatives(base_context):
        for seed in SEEDS:
            yield relative.name, seed, f"{relative.name}-seed{seed}", relative.rope


def contexts(base_context: int) -> list[int]:
    """From a quarter of the base's window to three times it."""
    return [base_context * eighths // 8 for eighths in (2, 4, 6, 8, 10, 12, 16, 20, 24)]


def write_perplexity(program: Program, models: pathlib.Path, text: pathlib.Path, path: pathlib.Path) -> None:
    base_context = json.loads((models / "base" / "config.json").read_text())["max_position_embeddings"]
    rows = []
    for relative, seed, folder, rope in subjects(base_context):
        for last in ("", LAST):
            options = ["--ids", str(text), "--context", ",".join(map(str, contexts(base_context))), "--csv"]
            options += ["--set", f"model={models.resolve() / folder}", "--set", f"rope={json.dumps(rope)}"]
            options += ["--last", str(last)] if last else []
            for row in csv.DictReader(io.StringIO(program("perplexity", *options))):
                rows.append({"relative": relative, "seed": seed} | row)
        print(json.dumps({"measured": folder, "rope": rope["policy"]}), flush=True)
    write_csv(path, rows)


def write_recall(program: Program, data: pathlib.Path, path: pathlib.Path) -> None:
    depths = ",".join(str(eighths / 8) for eighths in range(0, 9, 2))
    lengths = "192,256,320,384,448,512,576,640"
    path.write_text(program("recall", "--data", str(data), "--length", lengths, "--depth", depths, "--csv"))


def write_cache(program: Program, text: pathlib.Path, path: pathlib.Path) -> None:
    """int8 keys and values beside f16: perplexity of each, and the divergence between them."""
    rows = []
    int8 = path.parent / "int8.yaml"
    int8.write_text(f"extends: {program.config.resolve()}\ncontext: {{kv_cache: int8}}\n")
    for context in (256, 512, 768):
        shared = ("--ids", str(text), "--context", str(context), "--json")
        words = [str(program.path), "compare", str(program.config), str(int8), "--quiet", *shared]
        answer = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
        last = [json.loads(program("perplexity", *shared, "--last", str(LAST), "--set", f"context.kv_cache={kind}"))
                for kind in ("f16", "int8")]
        rows.append({"context": context} | {key: answer[key] for key in (
            "tokens", "perplexity_a", "perplexity_b", "kl_mean", "kl_p99", "kl_max", "same_top")} | {
            f"last{LAST}_{kind}": row["rows"][0]["perplexity"] for kind, row in zip(("f16", "int8"), last)})
    int8.unlink()
    write_csv(path, rows)


def write_csv(path: pathlib.Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
