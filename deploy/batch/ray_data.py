"""python ray_data.py CONFIG QUESTIONS.jsonl FOLDER [WORKERS]: a file of questions by Ray Data.

For those who have a Ray cluster already; without one, `ropewalk batch` needs nothing else (docs/scaling.md). Questions
have the form of OpenAI's Batch API. Each worker has a server of its own on a socket that only it knows. Answers come
as lines {"custom_id", "status_code", "body"} in files of FOLDER; they are those of `ropewalk batch`, as a seed comes
from the custom_id here too. Needs requirements.txt beside this file, and `ropewalk` on the PATH of every machine.
"""

import concurrent.futures
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import tempfile

import ray.data

AT_A_TIME = 16  # questions that a worker has under way: twice serve.max_sequences keeps its steps full
GPUS = 0  # of a worker; with one, say `backend: cuda` in the configuration


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Server:
    def __init__(self, config):
        self.path = tempfile.mkdtemp(prefix="ropewalk-") + "/socket"
        # The server ends with its worker, also where Ray kills that one.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "ropewalk", "serve", config, "--quiet", "--listen", "unix:" + self.path,
             "--set", f"serve.queue.requests={4 * AT_A_TIME}", "--set", "serve.queue.seconds=86400"],
            stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise RuntimeError(f"ropewalk serve ended with {self.process.wait()}; its message is above")

    def __call__(self, questions):
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            answers = list(pool.map(self.ask, questions["custom_id"], questions["url"], questions["body"]))
        return {"custom_id": questions["custom_id"], "status_code": [status for status, _ in answers],
                "body": [body for _, body in answers]}

    def ask(self, custom_id, url, body):
        body = json.loads(body)
        if body.get("seed") in (None, -1):
            body["seed"] = int.from_bytes(hashlib.sha256(custom_id.encode()).digest()[:8], "big")
        connection = Connection(self.path)
        connection.request("POST", url, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read().decode()
        connection.close()
        if response.status == 503:  # not an answer: the job ends, rather than to write it down as one
            raise RuntimeError(answer)
        return response.status, answer


def parse(row):
    question = json.loads(row["text"])
    return {"custom_id": question["custom_id"], "url": question["url"], "body": json.dumps(question["body"])}


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    config, questions, folder = sys.argv[1:4]
    workers = int(sys.argv[4]) if len(sys.argv) == 5 else 1
    (ray.data.read_text(questions)
     .repartition(16 * workers)
     .map(parse)
     .map_batches(Server, fn_constructor_args=(config,), batch_size=4 * AT_A_TIME,
                  num_cpus=0, num_gpus=GPUS,  # no core: on a small machine reading would find none
                  compute=ray.data.ActorPoolStrategy(size=workers))
     .write_json(folder))


if __name__ == "__main__":
    main()
