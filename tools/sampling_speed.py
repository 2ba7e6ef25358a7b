"""python tools/sampling_speed.py: what transformers takes for one token through the chains of bench/sampling_bench's `typical` and `nucleus`.

The same 32000 logits from a normal distribution of deviation 3, the same 2048 ids of history, the same five processors in the same
order, then a multinomial draw; one thread. Needs the environment of tools/fixtures/requirements.txt.
"""
from __future__ import annotations

import statistics
import time

import torch
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

VOCABULARY, HISTORY, TOKENS = 32000, 2048, 300


def measure(name: str, processors: list) -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, VOCABULARY) * 3
    history = torch.randint(0, VOCABULARY, (1, HISTORY))
    chain = LogitsProcessorList(processors)
    times = []
    for _ in range(TOKENS):
        begin = time.thread_time()
        torch.multinomial(torch.softmax(chain(history, logits), dim=-1), 1).item()
        times.append(time.thread_time() - begin)
    print(f"transformers {name}: median {statistics.median(times) * 1e6:.0f} us of processor time, least {min(times) * 1e6:.0f} us, "
          f"{TOKENS} tokens, torch {torch.__version__}")


def main() -> None:
    torch.set_num_threads(1)
    before = [RepetitionPenaltyLogitsProcessor(1.15), TemperatureLogitsWarper(0.7)]
    measure("typical", before + [TopKLogitsWarper(40), TopPLogitsWarper(0.9), MinPLogitsWarper(0.05)])
    measure("nucleus", before + [TopPLogitsWarper(0.9)])


main()
