"""Clients that misbehave: killed, silent, malformed, and servers that are told to end. The server outlives them all."""

import concurrent.futures
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import time

from . import figures

CORPUS = pathlib.Path(__file__).parents[2] / "tests/fuzz/corpus"


def connect(server):
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30)


def request(tokens, stream=True, path="/v1/completions"):
    body = json.dumps({"prompt": "The sky is", "max_tokens": tokens, "temperature": 2, "ignore_eos": True,
                       "stream": stream}).encode()
    return (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), len(body))) + body


def reset(connection):
    """Closes it with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def settled(server, what):
    """A second later nothing runs, and the next request is answered."""
    time.sleep(1)
    running = server.metric("vllm:num_requests_running", "vllm:num_requests_waiting")
    assert running == 0, (what, running)
    assert server.process.poll() is None, what
    assert server.post("/v1/completions", {"prompt": "The sky is", "max_tokens": 2})["choices"], what


def killed(server, count):
    """Clients that leave at a random point: within the request, before the answer, within it."""
    def one(seed):
        numbers = random.Random(seed)
        connection = connect(server)
        sent = request(400, stream=numbers.random() < 0.7)
        connection.sendall(sent[:numbers.choice((numbers.randrange(1, len(sent)), len(sent), len(sent)))])
        time.sleep(numbers.random() * 0.1)
        if numbers.random() < 0.5:
            connection.settimeout(0.2)
            try:
                connection.recv(numbers.randrange(1, 2000))
            except TimeoutError:
                pass
        reset(connection) if numbers.random() < 0.5 else connection.close()

    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        list(clients.map(one, range(count)))
    settled(server, "killed clients")


def half_open(server, count):
    """A process with so many streams stops (SIGSTOP), and is killed later: its sockets neither read nor close."""
    script = ("import sys, time; sys.path.insert(0, sys.argv[1]); from tools.serving import chaos\n"
              "class At: url = sys.argv[2]\n"
              "held = [chaos.connect(At) for _ in range(int(sys.argv[3]))]\n"
              "for connection in held: connection.sendall(chaos.request(400))\n"
              "print('sent', flush=True); time.sleep(600)\n")
    for _ in range(max(1, count // 50)):
        child = subprocess.Popen([sys.executable, "-c", script, os.getcwd(), server.url, str(min(count, 50))],
                                 stdout=subprocess.PIPE)
        child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        assert server.get("/v1/models")["data"]
        child.kill()
        child.wait()
    settled(server, "half-open connections")


def malformed(server, count):
    """The corpora of the HTTP and request fuzzers, as they are and with bytes changed."""
    seeds = [file.read_bytes() for file in sorted((CORPUS / "http").iterdir())]
    for file in sorted((CORPUS / "serve_request").iterdir()):
        body = file.read_bytes()
        seeds.append(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def one(seed):
        numbers = random.Random(seed)
        bytes_ = bytearray(numbers.choice(seeds))
        for _ in range(numbers.randrange(4)):
            bytes_[numbers.randrange(len(bytes_))] = numbers.randrange(256)
        connection = connect(server)
        connection.settimeout(0.05)
        try:
            connection.sendall(bytes_)
            connection.recv(4096)
        except OSError:
            pass
        reset(connection)

    with concurrent.futures.ThreadPoolExecutor(32) as clients:
        list(clients.map(one, range(count)))
    settled(server, "malformed requests")


def drains(asked, count):
    """SIGTERM while a stream runs: the stream ends whole, the server with 0."""
    for _ in range(count):
        with figures.serve(asked, "configs/airophin-mini.yaml", 8) as server:
            connection = connect(server)
            connection.sendall(request(60))
            text = connection.recv(4096)
            server.process.send_signal(signal.SIGTERM)
            while piece := connection.recv(65536):
                text += piece
            assert b"data: [DONE]" in text, text[-300:]
            assert server.process.wait(60) == 0


def run(asked):
    part = asked.percent / 100
    with figures.serve(asked, "configs/airophin-mini.yaml", 8, "serve.cache_tokens=768") as server:
        for kind, count in ((killed, 2000), (half_open, 200), (malformed, 5000)):
            count = max(1, int(count * part))
            begin = time.monotonic()
            kind(server, count)
            print(f"ok {kind.__name__}: {count}, {time.monotonic() - begin:.0f} s", flush=True)
    begin, count = time.monotonic(), max(1, int(50 * part))
    drains(asked, count)
    print(f"ok drains: {count}, {time.monotonic() - begin:.0f} s", flush=True)
