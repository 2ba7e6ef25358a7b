#!/usr/bin/env python3
"""What the table's counts predict for cards that nobody has measured: decoding Llama-2-13B in GPTQ 4 bits, groups of 32.

    predict.py [table.txt]     prints the rows of docs/performance/vulkan.md

The model. A kernel takes the longer of two times: its bytes at REACHED of the bandwidth that the maker states, and its
vector instructions (the table's, by word) at the rate of all lanes. Kernels of one row of activations take their latency
alone, and so do the norm or the planes at the head of a product and the join at the end of attention: LATENCY_US, from
the loads that follow one another in them. A barrier takes the card's BARRIER_US with the ramps
of the kernels on both its sides; the number of barriers is the table's. The host adds HOST_US a token. For NVIDIA and
Intel the counts are those of RDNA 3: their compilers are not at hand, so these rows are the weaker ones.

9 to 32 sequences without matrix cores are bound by integer dot products, of which TILES_REACHED is a guess too.

Prefill on matrix cores (matrix.txt), for the RX 7900 XTX alone: a SIMD takes WMMA_CYCLES for a v_wmma of 16 x 16 x 16 and
ISSUE_CYCLES for another vector instruction of 32 lanes, one after the other. What is left to waits and to the last
workgroups is a guess, TILES_REACHED.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from table import parse  # noqa: E402

# family of the counts, GB/s, lanes, GHz, BARRIER_US
CARDS = {
    "RX 7900 XTX": ("gfx1100", 960, 96 * 64, 2.5, 3.0),
    "RTX 4090": ("gfx1100", 1008, 128 * 128, 2.5, 2.5),
    "Arc A770": ("gfx1100", 560, 32 * 128, 2.1, 6.0),
    "Radeon 780M": ("gfx1102", 89.6, 12 * 64, 2.7, 3.0),
    "Steam Deck": ("vangogh", 88, 8 * 64, 1.6, 4.0),
}
REACHED = 0.92
HOST_US = 100
LATENCY_US = {"norm": 3, "planes": 2, "join": 4, "attention": 8}

WMMA_CYCLES, ISSUE_CYCLES, TILES_REACHED = 32, 1, 0.85
MATRIX_TFLOPS, MATRIX_TILE = 122.8, "gptq_matrix_cooperative-32.8.4.4.2."

LAYERS, HIDDEN, INNER, VOCAB = 40, 5120, 13824, 32000
WEIGHTS = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)
STORED_BITS, STEP = 4.625, "step:decode-1"  # as a checkpoint stores them; the table's step has one layer
OUTSIDE_BARRIERS = 6  # of a step: the upload, the last rows and their norm, the logits and their copy


def word(rows, family, prefix):
    """Vector instructions for a word of weights, of the kernel's plain form."""
    return min(float(f["word"]) for (of, name), f in rows.items() if of == family and name.startswith(prefix) and f["word"] != "-")


def parts(rows, card, context):
    """Microseconds of a step of one sequence, by what takes them."""
    family, bandwidth, lanes, clock, barrier_us = CARDS[card]
    bytes_us, lane_us = bandwidth * 1e3 * REACHED, lanes * clock * 1e3

    def stream(size, words, instructions):
        return max(size / bytes_us, words * instructions / lane_us)

    products = stream(WEIGHTS * 4.625 / 8, WEIGHTS / 8, word(rows, family, "gptq_lean"))
    head = stream(VOCAB * HIDDEN * 2, VOCAB * HIDDEN / 2, word(rows, family, "gptq_matvec_f16-64"))
    cache_words = 2 * LAYERS * HIDDEN * context / 2  # f16
    cache = stream(4 * cache_words, cache_words, 5)
    barriers = (int(rows[family, STEP]["barriers"]) - OUTSIDE_BARRIERS) * LAYERS + OUTSIDE_BARRIERS
    return {
        "products, logits, cache": products + head + cache,
        "barriers": barriers * barrier_us,
        "norms": 2 * LAYERS * LATENCY_US["norm"],
        "planes of o's x": LAYERS * LATENCY_US["planes"],
        "attention and its join": LAYERS * (LATENCY_US["attention"] + LATENCY_US["join"]),
        "host": HOST_US,
    }


def microseconds(rows, card, context):
    return sum(parts(rows, card, context).values())


def batch_microseconds(rows, card, batch, context):
    """A step of `batch` sequences, 9 to 32, without matrix cores."""
    family, bandwidth, lanes, clock, barrier_us = CARDS[card]
    bytes_us, lane_us = bandwidth * 1e3 * REACHED, lanes * clock * 1e3
    staged = re.compile(rf"gptq_lean_split_staged-\d+\.\d+\.4\.{batch}\.")
    a_word = min(float(f["word"]) for (of, name), f in rows.items() if of == family and staged.match(name))
    products = max(WEIGHTS * 4.625 / 8 / bytes_us, WEIGHTS / 8 * a_word / lane_us / TILES_REACHED)
    head = max(VOCAB * HIDDEN * 2 / bytes_us, VOCAB * HIDDEN * batch / lane_us / TILES_REACHED)  # an FMA each
    cache = batch * max(4 * LAYERS * HIDDEN * context / bytes_us, LAYERS * HIDDEN * context * 5 / lane_us)
    latency = LAYERS * (LATENCY_US["norm"] + sum(LATENCY_US.values()))  # a layer has two norms
    barriers = (int(rows[family, f"step:decode-{batch}"]["barriers"]) - OUTSIDE_BARRIERS) * LAYERS + OUTSIDE_BARRIERS
    return products + head + cache + latency + barriers * barrier_us + HOST_US


def ideal(card, context, batch=1):
    stored = WEIGHTS * STORED_BITS / 8 + VOCAB * HIDDEN * 2 + batch * 4 * LAYERS * HIDDEN * context
    return stored / (CARDS[card][1] * 1e3)


def matrix_share(rows):
    """The share of the matrix rate that the instructions of the largest tile allow."""
    figures = next(f for (_, name), f in rows.items() if name.startswith(MATRIX_TILE))
    matrices = int(figures["wmma"])
    busy = WMMA_CYCLES * matrices
    return busy / (busy + ISSUE_CYCLES * (int(figures["loop"]) - matrices))


def main():
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("table.txt")
    rows = parse(path.read_text())
    print("| card | decode at 512, tokens/s | of ideal | at 8192, tokens/s | of ideal | measured |\n|---|---|---|---|---|---|")
    for card in CARDS:
        cells = []
        for context in (512, 8192):
            us = microseconds(rows, card, context)
            cells += [f"{1e6 / us:.{0 if us < 1e5 else 1}f}", f"{ideal(card, context) / us:.2f}"]
        print(f"| {card} | {' | '.join(cells)} | not measured |")
    names = list(parts(rows, "RX 7900 XTX", 512))
    print(f"\n| card | context | ideal, us | {' | '.join(names)} |\n|---|---|---|{'---|' * len(names)}")
    for card in ("RX 7900 XTX", "RTX 4090"):
        for context in (512, 8192):
            cells = " | ".join(f"{us:.0f}" for us in parts(rows, card, context).values())
            print(f"| {card} | {context} | {ideal(card, context):.0f} | {cells} |")
    print("\n| card, without matrix cores | 16 sequences at 512, tokens/s | of ideal | 32, tokens/s | of ideal | measured |\n|---|---|---|---|---|---|")
    for card in CARDS:
        cells = []
        for batch in (16, 32):
            us = batch_microseconds(rows, card, batch, 512)
            cells += [f"{batch * 1e6 / us:.0f}", f"{ideal(card, 512, batch) / us:.2f}"]
        print(f"| {card} | {' | '.join(cells)} | not measured |")
    matrix = path.with_name("matrix.txt")
    if matrix.exists():
        share = matrix_share(parse(matrix.read_text()))
        print(f"\nPrefill, RX 7900 XTX: the instructions allow {share:.2f} of {MATRIX_TFLOPS} TFLOP/s; "
              f"predicted {TILES_REACHED * share:.2f}, {TILES_REACHED * share * MATRIX_TFLOPS:.0f} TFLOP/s")


if __name__ == "__main__":
    main()
