"""The promise: a reply and its log-probabilities are the command line's to the digit, whoever else is served."""

import concurrent.futures
import json
import subprocess
import tempfile
import time

from .server import Checks, Server

CHECKS = Checks()
PATIENCE = 120  # seconds
TEXT = "A rope is laid from strands, and a strand from yarns that are twisted the other way round. " * 12


def prompts(count):
    """Of 3 to 1000 characters, all of which begin alike. Every second one's reply grows into another page."""
    return [TEXT[:3 + i * 73 % 1000] if i % 2 else TEXT[:480 + i * 7 % 70] for i in range(count)]


def alone(server, prompt, seed, folder):
    """What the command line says: the reply's text, ids and log-probabilities."""
    sets = ["prompt.format=raw", "sampling=[{temperature: 1.3}]", f"generation.seed={seed}",
            "generation.max_new_tokens=40", "backend=cpu"]
    command = [server.program, "run", server.config, "--prompt", prompt, "--json", "--quiet"]
    told = json.loads(subprocess.run(command + [part for value in sets for part in ("--set", value)], check=True,
                                     capture_output=True, text=True).stdout)
    ids = server.post("/tokenize", {"prompt": prompt})["tokens"]
    return {"text": told["text"], "ids": told["ids"],
            "logprobs": server.score(ids + told["ids"], folder)[len(ids):]}


def body(prompt, seed, stream):
    return {"prompt": prompt, "max_tokens": 40, "temperature": 1.3, "seed": seed, "logprobs": 0, "stream": stream,
            "return_tokens_as_token_ids": True}


def said(choices):
    tokens = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["tokens"]]
    return {"text": "".join(choice["text"] for choice in choices),
            "ids": [int(token.removeprefix("token_id:")) for token in tokens],
            "logprobs": [n for choice in choices if choice["logprobs"]
                         for n in choice["logprobs"]["token_logprobs"]]}


def asked(server, prompt, seed, stream=False):
    if not stream:
        return said(server.post("/v1/completions", body(prompt, seed, False))["choices"])
    with server.open("/v1/completions", body(prompt, seed, True)) as answer:
        events = [json.loads(line[6:]) for line in answer if line.startswith(b"data: {")]
    return said([event["choices"][0] for event in events])


def compare(server, count):
    with tempfile.TemporaryDirectory() as folder:
        expected = [alone(server, prompt, seed, folder) for seed, prompt in enumerate(prompts(count))]

    def all_equal(how, found):
        for seed, (a, b) in enumerate(zip(found, expected)):
            assert a == b, (how, seed, a, b)

    cases = list(enumerate(prompts(count)))
    with Server(server.program, server.config, "backend=cpu", "serve.queue.requests=256") as other:
        all_equal("alone", [asked(other, prompt, seed) for seed, prompt in cases])
        all_equal("streamed, after a prefix hit", [asked(other, prompt, seed, True) for seed, prompt in cases])
        assert other.metric("vllm:prefix_cache_hits_total") > 0
        with concurrent.futures.ThreadPoolExecutor(9) as clients:
            all_equal("among eight others", clients.map(lambda case: asked(other, case[1], case[0]), cases))
    # 768 tokens for up to eight replies.
    with Server(server.program, server.config, "backend=cpu", "serve.queue.requests=256",
                "serve.cache_tokens=768") as small, concurrent.futures.ThreadPoolExecutor(9) as clients:
        until = time.monotonic() + PATIENCE
        while small.metric("vllm:num_preemptions_total") == 0:  # where the clients are slow too few run at a time
            assert time.monotonic() < until, "nobody was preempted"
            all_equal("after preemptions", clients.map(lambda case: asked(small, case[1], case[0]), cases))


@CHECKS.add
def of_24_prompts(server):
    compare(server, 24)


@CHECKS.long
def of_200_prompts(server):
    compare(server, 200)
