"""nginx, HAProxy and vllm-router in front of two servers: streams unbuffered, a server or a client that goes."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from .server import Checks, Server

CHECKS = Checks()
PATIENCE = 120  # seconds: vllm-router is a Python program
DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(kind, servers, port, folder):
    """The program that stands in front of the servers at `port`: nginx and HAProxy by the files in deploy/."""
    if kind == "vllm-router":
        return [sys.executable, "-m", "vllm_router.launch_router", "--host", "127.0.0.1", "--port", str(port),
                "--worker-urls", *(server.url for server in servers), "--policy", "cache_aware",
                "--health-check-interval-secs", "1", "--health-failure-threshold", "1",
                "--health-success-threshold", "1", "--prometheus-port", str(free_port()), "--log-level", "error"]
    text = (DEPLOY / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]).read_text()
    for i, server in enumerate(servers):
        text = text.replace(f" ropewalk-{i + 1}:8000", " " + server.url.removeprefix("http://"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("bind :8080", f"bind 127.0.0.1:{port}")
    file = pathlib.Path(folder) / "conf"
    file.write_text(text.replace(" /tmp/", f" {folder}/"))
    if kind == "nginx":
        return ["nginx", "-p", folder, "-c", str(file), "-g", "daemon off;"]
    return ["haproxy", "-db", "-f", str(file)]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models"):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def proxy(kind, servers):
    """The proxy's port, while it runs."""
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "log"), "w+") as log:
        port = free_port()
        process = subprocess.Popen(command(kind, servers, port, folder), stderr=log, stdout=log,
                                   env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
        try:
            until = time.monotonic() + PATIENCE
            while not answers(port):
                if time.monotonic() > until or process.poll() is not None:
                    log.seek(0)
                    raise AssertionError(f"{kind} does not answer: {log.read()[-2000:]}")
                time.sleep(0.05)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def stream(port, tokens):
    """A connection on which a reply of so many tokens is being read, behind its head."""
    body = json.dumps({"prompt": "The sky is", "max_tokens": tokens, "temperature": 2, "stream": True,
                       "ignore_eos": True}).encode()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(60)
    connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def check(kind, server):
    if kind != "vllm-router" and not shutil.which(kind, path=os.environ["PATH"] + ":/usr/sbin"):
        print(f"SKIPPED proxies.{kind}: it is not installed", flush=True)
        return
    with Server(server.program, server.config) as a, Server(server.program, server.config) as b, \
            proxy(kind, (a, b)) as port:
        # Events come by and by: a proxy that held them back would let the first go with the last.
        began, first = time.monotonic(), None
        reader = stream(port, 3000)
        text = b""
        while piece := reader.recv(65536):
            text += piece
            if first is None and b"data: {" in text:
                first = time.monotonic()
        assert b"200 OK" in text and b"data: [DONE]" in text, text[:200]
        waited, whole = first - began, time.monotonic() - began
        assert waited < whole / 2, f"the first event came after {waited:.3f} of {whole:.3f} s"
        # A client that goes ends its request within a second.
        for _ in range(8):
            reader = stream(port, 4000)
            text = b""
            while b"data: {" not in text:
                piece = reader.recv(65536)
                assert piece, text
                text += piece
            reader.close()
        time.sleep(1)
        running = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        assert a.metric(*running) + b.metric(*running) == 0
        # One server goes: others answer.
        a.process.send_signal(signal.SIGTERM)
        a.process.wait(timeout=60)
        if kind == "vllm-router":
            time.sleep(3)  # it learns of it by /health, and answers 500 until then
        for _ in range(10):
            reader = stream(port, 5)
            text = b""
            while piece := reader.recv(65536):
                text += piece
            assert b"200 OK" in text and b"data: [DONE]" in text, text[:300]


@CHECKS.add
def nginx(server):
    check("nginx", server)


@CHECKS.add
def haproxy(server):
    check("haproxy", server)


@CHECKS.add
def vllm_router(server):
    check("vllm-router", server)
