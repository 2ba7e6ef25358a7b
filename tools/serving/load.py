"""Streams of mixed lengths for minutes: nothing is lost, and memory stays as it is after the second minute."""

import json
import os
import random
import tempfile
import time

from . import figures
from .prompts import words

FLAT_MIB = 2


def memory_mib(pid):
    """What the process holds for itself: RssAnon and VmSwap."""
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap")) / 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors_after(pid, idle):
    """Those that stay open: a busy server sees the end of a connection some time after its client."""
    patience = time.monotonic() + 10
    while descriptors(pid) > idle and time.monotonic() < patience:
        time.sleep(0.05)
    return descriptors(pid)


def mixed(folder, count, seed):
    """Prompts of 1 to 300 tokens, some of which begin alike, and replies of 1 to 120; most are short."""
    numbers = random.Random(seed)
    shared = words(numbers, 128)
    path = os.path.join(folder, f"mixed-{seed}.jsonl")
    with open(path, "w") as file:
        for _ in range(count):
            length = 1 + int(300 * numbers.random() ** 3)
            ids = words(numbers, length)
            if numbers.random() < 0.3:
                ids[:128] = shared[:len(ids)]
            print(json.dumps({"prompt": ids, "max_tokens": 1 + int(120 * numbers.random() ** 2), "temperature": 1.2,
                              "seed": numbers.randrange(1 << 30), "stream": numbers.random() < 0.8}), file=file)
    return path


def run(asked):
    samples = []  # (second, MiB, descriptors)
    with tempfile.TemporaryDirectory() as folder, \
            figures.serve(asked, figures.config_of("mini", asked.work), 64, "serve.cache_tokens=16384") as server:
        time.sleep(1)  # until the connection that asked whether it is ready has closed
        idle = descriptors(server.process.pid)
        begin, asked_so_far, rate = time.monotonic(), 0, 0
        while (second := time.monotonic() - begin) < 60 * asked.minutes:
            count = max(128, int(20 * rate))  # some 20 seconds
            result = figures.load(asked.http_load, server.url, mixed(folder, count, asked_so_far), 64, count)
            asked_so_far, rate = asked_so_far + count, count / result["seconds"]
            samples.append((time.monotonic() - begin, memory_mib(server.process.pid),
                            descriptors_after(server.process.pid, idle)))
            print(f"{second:.0f} s: {asked_so_far} answered, {rate:.0f} a second, first token p99 "
                  f"{result['first_event_ms']['p99']:.0f} ms, {samples[-1][1]:.1f} MiB, {samples[-1][2]} descriptors",
                  flush=True)
        assert server.metric("vllm:num_requests_running", "vllm:num_requests_waiting") == 0
        preempted = server.metric("vllm:num_preemptions_total")
    late = [mib for second, mib, _ in samples if second > min(120, 30 * asked.minutes)]
    print(f"{asked_so_far} requests, none lost, {preempted:.0f} preempted; "
          f"memory {min(late):.1f} to {max(late):.1f} MiB", flush=True)
    assert max(late) - min(late) <= 2 * FLAT_MIB, "memory is not flat"
    assert {count for *_, count in samples} == {idle}, "descriptors stay open"
