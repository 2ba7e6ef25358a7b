"""The tables and pictures of docs/long-context.md from the CSV files beside it."""

from __future__ import annotations

import csv
import pathlib
import re

from . import svg
from .measure import LAST


def read(path: pathlib.Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def series_of(rows: list[dict], last: str) -> dict[str, dict[int, list[float]]]:
    """Line's name -> context -> perplexities of the seeds."""
    series: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        if row["last"] != last:
            continue
        name = f"base, {row['rope']}" if row["relative"] == "base" else f"tuned: {row['relative']}"
        series.setdefault(name, {}).setdefault(int(row["context"]), []).append(float(row["perplexity"]))
    return series


def table_of(series: dict[str, dict[int, list[float]]]) -> str:
    contexts = sorted({context for points in series.values() for context in points})
    lines = ["| | " + " | ".join(map(str, contexts)) + " |", "|---" * (len(contexts) + 1) + "|"]
    for name, points in series.items():
        cells = [" / ".join(f"{value:.2f}" for value in points[context]) for context in contexts]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cache_table(rows: list[dict]) -> str:
    lines = [f"| context | f16 | int8 | f16, last {LAST} | int8, last {LAST} | KL mean | KL 99 % | same top |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        number = {key: float(value) for key, value in row.items()}
        lines.append(
            f"| {row['context']} | {number['perplexity_a']:.4f} | {number['perplexity_b']:.4f} | "
            f"{number[f'last{LAST}_f16']:.4f} | {number[f'last{LAST}_int8']:.4f} | {number['kl_mean']:.1e} | "
            f"{number['kl_p99']:.1e} | {100 * number['same_top']:.2f} % |")
    return "\n".join(lines)


def replace(document: str, name: str, table: str) -> str:
    """Puts the table between <!-- name --> and <!-- /name -->."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"no place for {name} in the document")
    return pattern.sub(lambda found: found[1] + table + "\n" + found[2], document)


def write(page: pathlib.Path, data: pathlib.Path) -> None:
    """`data` holds perplexity.csv, recall.csv and cache.csv; one that is missing leaves its part as it is."""
    text = page.read_text()
    if (data / "perplexity.csv").exists():
        rows = read(data / "perplexity.csv")
        for last, part in (("", "all"), (str(LAST), "last")):
            series = series_of(rows, last)
            picture = f"![perplexity by context](long-context/perplexity-{part}.svg)"
            text = replace(text, f"perplexity {part}", table_of(series) + "\n\n" + picture)
            base = max(int(row["context"]) for row in rows) // 3
            title = "Perplexity, " + (f"last {last} positions of each window" if last else "all positions")
            marks = {base: "base trained", 2 * base: "tuned"}
            (data / f"perplexity-{part}.svg").write_text(svg.lines(title, series, marks))
    if (data / "recall.csv").exists():
        cells = {(int(r["length"]), float(r["depth"])): float(r["share"]) for r in read(data / "recall.csv")}
        (data / "recall.svg").write_text(svg.heat_map("Exact answers in per cent, by tokens and depth", cells))
    if (data / "cache.csv").exists():
        text = replace(text, "cache", cache_table(read(data / "cache.csv")))
    page.write_text(text)
