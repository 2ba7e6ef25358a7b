"""`ropewalk batch`: openai-python's types read its answers, which are the server's."""

import json
import subprocess
import tempfile

import openai

from .server import Checks

CHECKS = Checks()
QUESTIONS = {
    "/v1/chat/completions": ({"messages": [{"role": "user", "content": "What colour is the sky?"}]},
                             openai.types.chat.ChatCompletion),
    "/v1/completions": ({"prompt": "The sky is", "temperature": 1.3, "logprobs": 2}, openai.types.Completion),
}


@CHECKS.add
def types_and_answers(server):
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = f"{folder}/questions.jsonl", f"{folder}/answers.jsonl"
        with open(questions, "w") as file:
            for url, (body, _) in QUESTIONS.items():
                print(json.dumps({"custom_id": url, "method": "POST", "url": url, "body": {**body, "max_tokens": 8}}),
                      file=file)
        subprocess.run([server.program, "batch", server.config, "--input", questions, "--output", answers, "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        with open(answers) as file:
            lines = [json.loads(line) for line in file]
    assert sorted(line["custom_id"] for line in lines) == sorted(QUESTIONS)
    for line in lines:
        assert line["error"] is None and line["response"]["status_code"] == 200
        body, kind = QUESTIONS[line["custom_id"]]
        answer = line["response"]["body"]
        kind.model_validate(answer)
        served = server.post(line["custom_id"], {**body, "max_tokens": 8, "seed": answer["ropewalk"]["seeds"][0]})
        assert served["choices"] == answer["choices"]
