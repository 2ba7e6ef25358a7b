"""nginx and HAProxy of Debian in front of two servers: unbuffered streams, a server that goes, a client that goes."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

from .server import Checks, Server

CHECKS = Checks()

NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream servers {{ least_conn; {nginx_servers} keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://servers; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
      proxy_set_header Connection ""; proxy_set_header Host localhost; client_max_body_size 8m;
      proxy_next_upstream error http_503 non_idempotent;
    }}
  }}
}}
"""
HAPROXY = """defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-request 10s
  option http-no-delay
  option redispatch
  retry-on 503 conn-failure
frontend front
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance leastconn
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host localhost
  default-server check inter 200ms fall 1 rise 1
  http-request set-header Host localhost
{haproxy_servers}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def proxy(kind, servers):
    """The proxy's address, while it runs."""
    addresses = [server.url.removeprefix("http://") for server in servers]
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        file = pathlib.Path(folder) / "conf"
        file.write_text((NGINX if kind == "nginx" else HAPROXY).format(
            folder=folder, port=port, nginx_servers=" ".join(f"server {a} max_fails=1;" for a in addresses),
            haproxy_servers="\n".join(f"  server s{i} {a}" for i, a in enumerate(addresses))))
        command = ["nginx", "-p", folder, "-c", str(file)] if kind == "nginx" else ["haproxy", "-db", "-f", str(file)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


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
    if not shutil.which(kind, path=os.environ["PATH"] + ":/usr/sbin"):
        print(f"SKIPPED proxies.{kind}: it is not installed", flush=True)
        return
    with Server(server.program, server.config) as a, Server(server.program, server.config) as b, \
            proxy(kind, (a, b)) as port:
        # Events come one by one, not in the proxy's buffers.
        reader = stream(port, 200)
        pieces, text = 0, b""
        while piece := reader.recv(65536):
            pieces, text = pieces + 1, text + piece
        assert b"200 OK" in text and b"data: [DONE]" in text and pieces >= 20, (pieces, text[:200])
        # A client that goes ends its request within a second.
        for _ in range(8):
            reader = stream(port, 4000)
            assert b"data: {" in reader.recv(65536) + reader.recv(65536)
            reader.close()
        time.sleep(1)
        running = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        assert a.metric(*running) + b.metric(*running) == 0
        # One server goes: others answer.
        a.process.send_signal(signal.SIGTERM)
        a.process.wait(timeout=60)
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
