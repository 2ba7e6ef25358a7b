#!/usr/bin/env python3
"""What counted instructions, divisions and estimated gaps predict for an H200: Llama-2-13B in GPTQ of 4 bits, groups of 32,
act-order. Nobody has run the backend on a GPU: no figure here is measured.

    predict.py PROGRAM                 prints the predictions; PROGRAM is cuda_divisions, which says how work is divided
    predict.py PROGRAM --why           and the kernels of a layer, one by one, and where the time goes
    predict.py PROGRAM --check FILE    fails where the table in FILE (docs/performance/cuda.md) says something else

A decode step, for one multiprocessor, since all have the same work give or take a block of K:

- Memory serves requests in their order, at STREAMED of its bandwidth, DRAM_US after them.
- A streaming kernel holds `ring` bytes and requests more as it consumes them. It consumes what has arrived as fast as its
  instructions (counts.txt) are issued, ISSUED of the slots.
- It requests `ahead` bytes more into the second-level cache, which delivers at L2_TBS.
- It starts START_US after the kernel in front lets it and its shared memory is free, and requests its first bytes then. EARLY_US
  after that kernel has ended, its wait returns; `stage` later it consumes. Others start PLAIN_US after the end in front.
- When all is consumed, `tail` follows: sums of segments are written, counted, read and added by whoever is last.
- `stage`, `tail` and kernels that stream nothing are chains of dependent loads, L2_US each, and the bytes that they read.

What is lost is the time in which memory serves nothing, and bytes at less than READ_TBS. The first run on a GPU replaces the
constants by what `canary` prints; the quoted names are its lines.
"""

import collections
import pathlib
import subprocess
import sys

READ_TBS = 4.3  # "read random, bulk", the best: the denominator of all fractions
STREAMED = 0.97  # of it: the same line with 8 warps x 4 x 2368 B
CLOCK_GHZ = 1.98
PLAIN_US = 1.3  # "boundary, plain, 96 KiB"
EARLY_US = 0.8  # "boundary, programmatic, 96 KiB, two fit a multiprocessor"
START_US = 0.7  # from permission to the first request; not in the canary
L2_US = 0.35  # "latency within 4 MiB", under load
DRAM_US = 0.8  # "latency within 1024 MiB", under load
L2_TBS = 5.5  # what all multiprocessors read from the second-level cache together; not in the canary
HOST_US = 15  # a token: its inputs, the recording's launch, the way of the largest logit
ATOMIC_US = 2 * L2_US  # a fence and an atomic addition
BARRIER_US = 0.05  # of a thread block, with the few instructions around it
ISSUED = 0.9  # of the slots for instructions

# Prefill, of the rate of the tensor cores that `ropewalk bench` measures with cuBLAS.
TFLOPS = 790
CUBLAS, WGMMA = 0.92, 0.75  # without the end of the last wave; large-batch=wgmma, which makes no weight f16 in memory
ATTENTION = {"mma": 0.25, "wgmma": 0.64}  # heads of 128
WEIGHT_BYTES = 2.58  # read and written to make a weight f16, which the products do not hide
# Bytes of a row and layer between products, in HIDDEN and INNER: gptq/large_batch/epilogue.h.
ROW_BYTES = {"separate": (144, 28), "fused": (68, 12), "fused, large-batch=wgmma": (48, 4)}
LAUNCHES, TILE_ROWS, TILE_COLUMNS, MAX_ROWS = 24, 128, 256, 2048

SMS, SHARED_BYTES, BLOCK_BYTES, LEAN_WARPS = 132, 228 << 10, 592, 8
LAYERS, HIDDEN, INNER, VOCAB, HEADS = 40, 5120, 13824, 32000, 40
WEIGHTS = 4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER  # of a layer
STEP_US, SIMULATED_LAYERS = 0.03, 4
STREAM_BYTES = READ_TBS * 1e6 / SMS * STREAMED  # a microsecond and multiprocessor
L2_BYTES = L2_TBS * 1e6 / SMS
SLOTS = 4 * CLOCK_GHZ * 1e3 * ISSUED  # warp instructions

# What the kernels do; change these with the code.
RING = 66304  # counts.txt
ATTENTION_RING, ATTENTION_SHARED = 57344, 65536 + 128 + 32 + 1024  # bytes in flight, and shared memory, of a thread block
ATTENTION_INSTRUCTIONS = 600  # of a warp for 8 keys and values, 4096 bytes
LETS_NEXT = "requested"  # when streaming kernels let the next one start: at their "begin", or when all is "requested"
AHEAD = 5 * 4 * BLOCK_BYTES * LEAN_WARPS  # bytes that a product requests into the second-level cache
NORM_US, COMBINE_US, TO_F16_US = 10 * L2_US, 6 * L2_US, 4 * L2_US  # alone
TOGETHER = {"qkv": 4, "o": 1, "gate_up": 2, "down": 1}  # tiles that are finished together
EPILOGUE_LOADS = {"qkv": 3, "o": 1, "gate_up": 0, "down": 1}  # that follow one another
ROWS_AT_ONCE = {"qkv": 2, "o": 8, "gate_up": 4, "down": 8}  # of a warp that finishes a group, from 2 rows on

PREDICTED = [(1, 512), (1, 4096), (1, 8192), (8, 512), (8, 4096), (8, 8192), (32, 512), (32, 4096)]


class Kernel:
    """A launch, for one multiprocessor: bytes, bytes a microsecond that its instructions allow, microseconds."""

    def __init__(self, name, stage, tail, size=0, rate=0, ring=0, shared=9216, early=True, lets="begin", ahead=0):
        self.name, self.stage, self.tail, self.size, self.rate, self.ring = name, stage, tail, size, rate, ring
        self.shared, self.early, self.lets, self.ahead = shared, early, lets, ahead
        self.start = self.allows = self.released = self.done = self.exit = None
        self.requested = self.arrived = self.consumed = 0.0
        self.on_the_way = collections.deque()


def may_start(kernel, before, running, now):
    if before is None:
        return True
    if not kernel.early:
        return before.exit is not None and now >= before.exit + PLAIN_US
    if before.allows is None:
        return False
    if sum(k.shared for k in running) + kernel.shared > SHARED_BYTES:
        before.allows = max(before.allows, now)
    return now >= before.allows + START_US


def consume(kernel, now):
    if kernel.released is None or now < kernel.released + kernel.stage:
        return
    kernel.consumed = min(kernel.arrived, kernel.consumed + min(kernel.rate, L2_BYTES if kernel.ahead else kernel.rate) * STEP_US)
    if kernel.done is None and kernel.size - kernel.consumed < 1:
        kernel.done = now
    if kernel.done is not None and now >= kernel.done + kernel.tail:
        kernel.exit = now
        kernel.allows = kernel.allows or now


def simulate(kernels):
    """Fills in the times of the kernels."""
    now, delay, started = 0.0, round(DRAM_US / STEP_US), 0
    running, queue = [], collections.deque()
    while kernels[-1].exit is None:
        while started < len(kernels) and may_start(kernels[started], kernels[started - 1] if started else None, running, now):
            kernel = kernels[started]
            kernel.start = now
            kernel.allows = now if kernel.lets == "begin" else None
            running.append(kernel)
            started += 1
        for before, kernel in zip([None] + kernels, kernels[:started]):
            if kernel.released is None and (before is None or before.exit is not None and (not kernel.early or now >= before.exit + EARLY_US)):
                kernel.released = now
        for kernel in running:
            more = min(kernel.size, kernel.consumed + kernel.ring + kernel.ahead) - kernel.requested
            if more > 0:
                kernel.requested += more
                queue.append([kernel, more])
            if kernel.allows is None and kernel.requested >= kernel.size:
                kernel.allows = now
        left, served = STREAM_BYTES * STEP_US, dict.fromkeys(running, 0.0)
        while queue and left > 0:
            taken = min(left, queue[0][1])
            served[queue[0][0]] += taken
            queue[0][1] -= taken
            left -= taken
            if queue[0][1] <= 1e-9:
                queue.popleft()
        for kernel in list(running):
            kernel.on_the_way.append(served[kernel])
            if len(kernel.on_the_way) > delay:
                kernel.arrived += kernel.on_the_way.popleft()
            consume(kernel, now)
            if kernel.exit is not None:
                running.remove(kernel)
        now += STEP_US


def divide_up(a, b):
    return -(-a // b)


def instructions_a_word(rows, counts):
    name = {1: "lean, 1 row, zeros of 4 bits"}.get(rows, f"lean, {rows} rows, zeros of 4 bits")
    return next(float(line.split()[-1]) for line in counts if line.startswith("sm_90 ") and name in line)


def product(name, rows, plan, counts):
    folded, tiles, blocks, slices, warps, _, shared = plan["product", name, rows]
    depth = divide_up(blocks, slices)
    size = divide_up(tiles * depth, warps) * LEAN_WARPS * BLOCK_BYTES
    rate = BLOCK_BYTES / (4 * instructions_a_word(rows, counts)) * SLOTS
    stage = L2_US + (4 if folded else 3) * BARRIER_US
    groups = divide_up(tiles // TOGETHER[name], SMS)  # that a thread block finishes
    if rows == 1:
        turns, sums = 1, L2_US
    else:
        stage += depth * rows * (80 if rows <= 8 else 64) / L2_BYTES
        sums = slices * L2_US
        turns = divide_up(8, ROWS_AT_ONCE[name])
        if rows > 8:  # the thread block's warps finish 8 rows of a group each
            turns *= divide_up(groups * rows // 8, LEAN_WARPS)
    read = (tiles * slices + warps * slices) * rows * 128 / SMS / L2_BYTES
    tail = 2 * BARRIER_US + ATOMIC_US + max(turns * (sums + EPILOGUE_LOADS[name] * L2_US), read)
    return Kernel(name, stage, tail, size, rate, RING, shared + 1024, lets=LETS_NEXT, ahead=AHEAD)


def attention(rows, context, plan):
    (runs,) = plan["attention", rows, context]
    resident = min(divide_up(rows * HEADS * runs, SMS), SHARED_BYTES // ATTENTION_SHARED)
    tail = 6 * BARRIER_US + L2_US + (ATOMIC_US + 2 * divide_up(runs, 4) * L2_US if rows == 1 else 0)
    rate = 4096 / ATTENTION_INSTRUCTIONS * SLOTS
    return Kernel("attention", L2_US + BARRIER_US, tail, rows * (context + 1) * 4 * HIDDEN / SMS, rate, resident * ATTENTION_RING,
                  resident * ATTENTION_SHARED, lets=LETS_NEXT)


def small(name, us):
    return Kernel(name, us, 0, early=False)


def layer(rows, context, plan, counts):
    def of(name):
        return product(name, rows, plan, counts)

    to_f16 = [] if rows <= 8 else ["to f16"]
    norm = [] if rows == 1 else ["norm"] + to_f16
    names = norm + ["qkv", "attention"] + ([] if rows == 1 else ["combine"] + to_f16) + ["o"] + norm + ["gate_up"] + to_f16 + ["down"]
    alone = {"norm": NORM_US, "combine": COMBINE_US, "to f16": TO_F16_US}
    return [small(n, alone[n]) if n in alone else attention(rows, context, plan) if n == "attention" else of(n) for n in names]


def ideal_us(rows, context):
    stored = LAYERS * WEIGHTS * 4.625 / 8 + VOCAB * HIDDEN * 2 + rows * context * 4 * HIDDEN * LAYERS
    return stored / (READ_TBS * 1e6)


def decode(rows, context, plan, counts):
    """Microseconds of a layer, those outside of the layers, and the kernels of the last layer."""
    layers = [layer(rows, context, plan, counts) for _ in range(SIMULATED_LAYERS)]
    simulate([kernel for one in layers for kernel in one])
    reached = STREAMED if rows <= 2 else 0.6 if rows <= 8 else 0.85  # dense_stream, dense_matmul, cuBLAS
    head = VOCAB * HIDDEN * 2 / (READ_TBS * 1e6 * reached)
    outside = head + 4 * (PLAIN_US + 2 * L2_US) + NORM_US + EARLY_US + 2 * L2_US + HOST_US  # embed, select, norm; maxima
    return layers[-1][-1].exit - layers[-2][-1].exit, outside, layers[-1], layers[-2][-1].exit


def prefill_us(rows, kernel="mma", epilogues="fused"):
    is_wgmma = "wgmma" in epilogues
    row_bytes = ROW_BYTES[epilogues][0] * HIDDEN + ROW_BYTES[epilogues][1] * INNER
    us = {"products": 0.0, "attention": 0.0, "f16 weights": 0.0, "between": 0.0, "launches": 0.0}
    for first in range(0, rows, MAX_ROWS):
        count = min(MAX_ROWS, rows - first)
        for depth, columns in ((HIDDEN, 3 * HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * INNER), (INNER, HIDDEN)):
            tiles = divide_up(count, TILE_ROWS) * divide_up(columns, TILE_COLUMNS)
            of_wave = tiles / (divide_up(tiles, SMS) * SMS)
            us["products"] += LAYERS * 2 * count * depth * columns / (TFLOPS * 1e6 * (WGMMA if is_wgmma else CUBLAS * of_wave))
        us["attention"] += LAYERS * attention_flop(first, count) / (TFLOPS * 1e6 * ATTENTION[kernel])
        us["f16 weights"] += 0 if is_wgmma else LAYERS * WEIGHTS * WEIGHT_BYTES / (READ_TBS * 1e6)
        us["between"] += LAYERS * count * row_bytes / (READ_TBS * 1e6)
        us["launches"] += LAYERS * LAUNCHES * PLAIN_US
    flop = LAYERS * (2 * rows * WEIGHTS + attention_flop(0, rows))
    return flop / (TFLOPS * 1e6), us


def attention_flop(first, count):
    return 4 * HIDDEN * count * (first + count / 2)


def read_plan(program):
    plan = {}
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        kind, *rest = line.split()
        plan[kind, rest[0] if kind == "product" else int(rest[0]), int(rest[1])] = tuple(int(x) for x in rest[2:])
    return plan


def explain(one, begin):
    for k in one:
        print(f"    {k.name:10} reads {k.size / STREAM_BYTES:6.2f} us; starts {k.start - begin:6.2f}, may go on {k.released - begin:6.2f}, "
              f"consumes all {k.done - begin:6.2f}, ends {k.exit - begin:6.2f}")


def main():
    program, arguments = sys.argv[1], sys.argv[2:]
    plan = read_plan(program)
    counts = pathlib.Path(__file__).with_name("counts.txt").read_text().splitlines()
    figures = {}
    for rows, context in PREDICTED:
        of_layer, outside, one, begin = decode(rows, context, plan, counts)
        ideal, us = ideal_us(rows, context), LAYERS * of_layer + outside
        figures["decode", rows, context] = ideal / us
        reads = sum(k.size for k in one) / STREAM_BYTES
        print(f"decode {rows:2} {context}: {ideal / us:.2f}, {us:.0f} us; a layer {of_layer:.1f} us, of which memory serves nothing "
              f"{of_layer - reads:.1f}; outside of layers {outside:.0f} us")
        if "--why" in arguments:
            explain(one, begin)
    for rows in (512, 2048, 8192):
        ideal, us = prefill_us(rows)
        figures["prefill", 1, rows] = ideal / sum(us.values())
        print(f"prefill {rows}: {ideal / sum(us.values()):.2f}; " + ", ".join(f"{name} {t / 1e3:.1f} ms" for name, t in us.items())
              + f"; ideal {ideal / 1e3:.1f} ms")
    for epilogues in ROW_BYTES:
        shares = [ideal / sum(us.values()) for ideal, us in (prefill_us(8192, kernel, epilogues) for kernel in ATTENTION)]
        print(f"prefill 8192, epilogues {epilogues}: {shares[0]:.2f}, with attention=wgmma {shares[1]:.2f}")
    if "--check" in arguments:
        check(pathlib.Path(arguments[arguments.index("--check") + 1]).read_text(), figures)


def check(text, figures):
    """The table's rows: | decode | batch | context | tokens/s | of ideal | predicted | goal |."""
    said = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 7 and cells[0] in ("decode", "prefill"):
            said[cells[0], int(cells[1]), int(cells[2])] = cells[5]
    wrong = [f"{key}: the table says {said.get(key)}, the model {value:.2f}" for key, value in figures.items() if said.get(key) != f"{value:.2f}"]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
