"""python tools/deploy/ray_trial.py CONFIG: deploy/batch/ray_data.py on two local workers, one of which is killed.

Every question must be answered once, with the text that `ropewalk batch` gives it. Needs deploy/batch/requirements.txt and
`ropewalk` on the PATH.
"""

import glob
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

RECIPE = pathlib.Path(__file__).parents[2] / "deploy/batch/ray_data.py"
QUESTIONS = 400


def workers():
    """Process ids of the workers: the parents of `ropewalk serve`, by the sockets' names."""
    found = {}
    for status in glob.glob("/proc/[0-9]*/status"):
        try:
            folder = os.path.dirname(status)
            command = open(folder + "/cmdline").read().split("\0")
            parent = next(int(line.split()[1]) for line in open(status) if line.startswith("PPid"))
        except OSError:
            continue
        if command[1:2] == ["serve"] and any(word.startswith("unix:" + tempfile.gettempdir()) for word in command):
            found[int(os.path.basename(folder))] = parent
    return found


def kill_one(killed):
    while len(workers()) < 2:
        time.sleep(0.1)
    time.sleep(4)
    server, worker = sorted(workers().items())[0]
    os.kill(worker, signal.SIGKILL)
    time.sleep(2)
    killed.append((worker, server, server in workers()))


def main():
    config = os.path.abspath(sys.argv[1])
    folder = tempfile.mkdtemp()
    questions = folder + "/questions.jsonl"
    with open(questions, "w") as out:
        for i in range(QUESTIONS):
            body = {"prompt": f"Number {i}:", "max_tokens": 300, "temperature": 1, "ignore_eos": True}
            print(json.dumps({"custom_id": f"q-{i}", "method": "POST", "url": "/v1/completions", "body": body}), file=out)
    killed = []
    killer = threading.Thread(target=kill_one, args=(killed,))
    killer.start()
    subprocess.run([sys.executable, RECIPE, config, questions, folder + "/ray", "2"], check=True)
    killer.join()
    [(worker, server, left)] = killed
    print(f"killed worker {worker}; its server {server} is {'still there' if left else 'gone'}")
    answers = [json.loads(line) for name in glob.glob(folder + "/ray/*") for line in open(name)]
    texts = {answer["custom_id"]: json.loads(answer["body"])["choices"][0]["text"] for answer in answers}
    print(f"{len(answers)} answers, {len(texts)} questions")
    assert len(answers) == len(texts) == QUESTIONS and not left
    subprocess.run(["ropewalk", "batch", config, "--input", questions, "--output", folder + "/batch.jsonl", "--quiet"],
                   check=True)
    batch = [json.loads(line) for line in open(folder + "/batch.jsonl")]
    assert texts == {line["custom_id"]: line["response"]["body"]["choices"][0]["text"] for line in batch}
    print("the same texts as `ropewalk batch`")


if __name__ == "__main__":
    main()
