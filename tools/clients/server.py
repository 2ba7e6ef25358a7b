"""A `ropewalk serve` of its own for each group of checks, and how checks are listed and run."""

import json
import os
import re
import signal
import subprocess
import urllib.request


class Server:
    """Ready when it is there, on a port of its own; the environment and --set as given."""

    def __init__(self, program, config, *sets, env=None):
        more = [part for value in sets for part in ("--set", value)]
        self.program, self.config = program, config
        self.process = subprocess.Popen(
            [program, "serve", config, "--listen", "127.0.0.1:0", "--quiet", "--set", "serve.drain.delay=0", *more],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        line = self.process.stdout.readline()
        match = re.search(r"at (http://\S+)", line)
        assert match, self.process.stderr.read()
        self.url = match.group(1)
        self.model = self.get("/v1/models")["data"][0]["id"] if not env else None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        assert error[0] or self.process.returncode == 0, self.process.returncode

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)

    def open(self, path, body):
        return urllib.request.urlopen(urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}))

    def post(self, path, body):
        with self.open(path, body) as answer:
            return json.load(answer)

    def metric(self, *names):
        """The sum of the samples of /metrics of these names."""
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0] in names)

    def score(self, ids, folder):
        """The log-probabilities that `ropewalk score` prints for the ids."""
        file = os.path.join(folder, "ids.txt")
        with open(file, "w") as out:
            out.write(" ".join(map(str, ids)))
        told = subprocess.run([self.program, "score", self.config, "--ids", file, "--json", "--quiet"],
                              check=True, capture_output=True, text=True).stdout
        return json.loads(told)["logprobs"]


class Checks(list):
    """The checks of a module, in order: @CHECKS.add, or @CHECKS.long for those that take minutes."""

    def add(self, function):
        self.append((function, False))
        return function

    def long(self, function):
        self.append((function, True))
        return function

    def run(self, group, server, long):
        for function, is_long in self:
            if is_long and not long:
                print(f"left out: {group}.{function.__name__} (--long)", flush=True)
                continue
            function(server)
            print(f"ok {group}.{function.__name__}", flush=True)
