"""Tokens per second and times to the first token, beside llama.cpp's server: one server at a time, the same cores."""

import concurrent.futures
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from ..clients.server import Server
from .prompts import words

ONE_CORE = "backend={name: cpu, threads: 1}"
# Of a shape: tokens of a prompt and of a reply; requests are so many for each stream.
MODELS = {"mini": (64, 64, 4), "tinyllama-1.1b": (32, 32, 1)}


class Peer:
    """llama.cpp's server on a port of its own, with a slot for each stream."""

    def __init__(self, model, slots, context, threads):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("peer.py")), model, str(port), str(slots),
             str(context), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline(), "llama.cpp's server did not start"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


def bodies(folder, count, prompt, reply, seed, first=()):
    """A file of requests, a line each, whose prompts differ from their first token on."""
    numbers = random.Random(seed)
    path = os.path.join(folder, f"bodies-{seed}.jsonl")
    with open(path, "w") as file:
        for _ in range(count):
            ids = [*first, *words(numbers, prompt)]
            print(json.dumps({"prompt": ids, "max_tokens": reply, "temperature": 0, "ignore_eos": True, "stream": True,
                              "cache_prompt": False}), file=file)
    return path


def without_samplers(server, path, count):
    """Leaves `count` requests in the file: those whose greedy replies are long without ignore_eos, which is a sampler."""
    kept = []
    with open(path) as lines, concurrent.futures.ThreadPoolExecutor(8) as clients:
        asked = [{name: value for name, value in json.loads(line).items() if name != "ignore_eos"} for line in lines]
        answers = clients.map(lambda body: server.post("/v1/completions", {**body, "stream": False}), asked)
        for body, answer in zip(asked, answers):
            if answer["usage"]["completion_tokens"] == body["max_tokens"]:
                kept.append(body)
    assert len(kept) >= count, len(kept)
    with open(path, "w") as file:
        for body in kept[:count]:
            print(json.dumps(body), file=file)
    return path


def load(program, url, path, streams, count):
    """What bench/http_load says of so many requests over so many connections."""
    told = subprocess.run([program, url.removeprefix("http://"), "/v1/completions", "--body", path, "--connections",
                           str(streams), "--count", str(count), "--header", "Connection: close"],
                          capture_output=True, text=True)
    result = json.loads(told.stdout)
    assert result["answered"] == count, result
    return result


def row(name, result, streams, reply):
    first = result["first_event_ms"]
    rate = result["answered"] * reply / result["seconds"]
    print(f"| {name} | {streams} | {rate:.1f} | {first['p50']:.0f} | {first['p99']:.0f} |", flush=True)
    return rate


def config_of(name, work):
    """A configuration of the shape; of the 1.1B one the model is made where it is not there."""
    if name == "mini":
        return "configs/airophin-mini.yaml"
    folder = work / name
    if not (folder / "model.safetensors").exists():
        from . import models
        models.write_gptq(name, folder)
    config = work / f"{name}.yaml"
    config.write_text(f"model: {folder.resolve()}\nprompt: {{format: raw}}\nsampling: []\n")
    return str(config)


def serve(asked, config, sequences, *more):
    return Server(asked.program, config, "backend=cpu", f"serve.max_sequences={sequences}",
                  "serve.queue.requests=1000", "serve.queue.prompt_tokens=1000000", "serve.queue.seconds=3600", *more)


def streams(asked, name, folder):
    """The table of a shape."""
    prompt, reply, rounds = MODELS[name]
    config, peer_model = config_of(name, asked.work), asked.work / f"{name}.gguf"
    if not peer_model.exists():
        from . import models
        models.write_gguf(name, peer_model)
    print(f"\n{name}: prompts of {prompt} tokens, replies of {reply}\n\n"
          "| server | streams | tokens/s | first token, p50 ms | p99 ms |\n|---|---|---|---|---|", flush=True)
    threads = len(os.sched_getaffinity(0))
    for count in asked.streams:
        file = bodies(folder, count * rounds, prompt, reply, count)
        with serve(asked, config, count) as server:
            load(asked.http_load, server.url, bodies(folder, 1, prompt, 1, 999), 1, 1)
            before = {n: server.metric(n) for n in ("ropewalk_step_seconds_total", "ropewalk_gap_seconds_total")}
            row("ropewalk", load(asked.http_load, server.url, file, count, count * rounds), count, reply)
            step, gap = (server.metric(n) - before[n] for n in before)
        with Peer(str(peer_model), count, prompt + reply + 8, threads) as server:
            load(asked.http_load, server.url, bodies(folder, 1, prompt, 1, 999), 1, 1)
            row("llama.cpp", load(asked.http_load, server.url, file, count, count * rounds), count, reply)
    print(f"\nscheduler's share of a step at {asked.streams[-1]} streams: {100 * gap / (step + gap):.2f} %", flush=True)


def beside_bench(asked, name, *backend):
    """Decoding at 8 streams: the server, `ropewalk batch` and `ropewalk bench --batch 8`, with the same options of the
    backend and over the same lengths."""
    reply, requests = (256, 64) if name == "mini" else (192, 8)  # bench decodes half of a context at most
    config = config_of(name, asked.work)
    options = [part for value in ("backend=cpu", *backend) for part in ("--set", value)]
    told = subprocess.run([asked.program, "bench", config, "--prompt", "4", "--batch", "8", "--decode", str(reply),
                           "--json", "--quiet", *options], check=True, capture_output=True, text=True)
    decode = next(line for line in json.loads(told.stdout)["rows"] if line["kind"] == "decode")
    assert decode["steps"] == reply, "bench cut the reply, since it did not fit the context"
    bench = decode["tokens_per_s"]
    with tempfile.TemporaryDirectory() as folder:  # of its own: `batch` goes on with answers that it finds
        with serve(asked, config, 8, *backend) as server:
            load(asked.http_load, server.url, bodies(folder, 1, 4, 1, 999), 1, 1)
            file = bodies(folder, requests, 4, reply, 8)
            if name == "mini":  # whose step is so short that a sampler counts
                without_samplers(server, file, 16)
            result = load(asked.http_load, server.url, file, 8, requests)
        served = result["answered"] * reply / result["seconds"]
        batch = batch_rate(asked, config, folder, reply, requests, options)
    print(f"\n{' '.join([name, *backend])}, 8 streams, replies of {reply}: bench {bench:.1f} tokens/s, "
          f"server {served:.1f} ({served / bench:.2f} of it), batch {batch:.1f} ({batch / served:.2f} of the server)",
          flush=True)


def batch_rate(asked, config, folder, reply, requests, options):
    """The difference of two runs, so that loading does not count."""
    seconds = []
    for count in (8, 8 + requests):
        questions, answers = (os.path.join(folder, f"{what}-{count}.jsonl") for what in ("questions", "answers"))
        with open(bodies(folder, count, 4, reply, 100 + count)) as lines, open(questions, "w") as file:
            for i, line in enumerate(lines):
                body = {**json.loads(line), "stream": False}
                print(json.dumps({"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}),
                      file=file)
        begin = time.monotonic()
        subprocess.run([asked.program, "batch", config, "--input", questions, "--output", answers, "--quiet", *options,
                        "--set", "serve.max_sequences=8"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.monotonic() - begin)
    return requests * reply / (seconds[1] - seconds[0])


def prefix_hit(asked, name, folder):
    """The time to the first token of a prompt whose first 512 tokens were asked before, and of one that is new."""
    times = {"cold": [], "hit": []}
    with serve(asked, config_of(name, asked.work), 1) as server:
        for seed in range(3):
            numbers = random.Random(seed)
            first = words(numbers, 512)
            for kind in times:
                file = bodies(folder, 1, 8, 1, 200 + seed + (10 if kind == "hit" else 0), first)
                times[kind].append(load(asked.http_load, server.url, file, 1, 1)["first_event_ms"]["p50"])
    cold, hit = statistics.median(times["cold"]), statistics.median(times["hit"])
    print(f"\n{name}, 520 tokens: first token after {cold:.0f} ms, {hit:.0f} ms where 512 were asked before "
          f"({100 * hit / cold:.1f} %)", flush=True)


def run(asked):
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.shapes:
            streams(asked, name, folder)
            beside_bench(asked, name)
            if name == "mini":  # a step takes less than a millisecond: a core for the steps, the other for the rest
                beside_bench(asked, name, ONE_CORE)
            if name != "mini":  # whose context is 512 tokens
                prefix_hit(asked, name, folder)
