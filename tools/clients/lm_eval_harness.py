"""lm-evaluation-harness's local-completions, with the server's own tokenizer."""

import os
import tempfile

from .server import Checks

CHECKS = Checks()
PAIRS = [("The sky is", " blue."), ("A rope is", " made of strands"), ("Context:", " a b c d e f g"),
         ("Who wrote it? ", "Nobody knows, but it is old."), ("x", " y")]


def model_of(server, **more):
    from lm_eval.models.openai_completions import LocalCompletionsAPI
    return LocalCompletionsAPI(model=server.model, base_url=server.url + "/v1/completions", tokenizer_backend="auto",
                               max_length=server.get("/v1/models")["data"][0]["max_model_len"], **more)


def requests(kind, arguments):
    from lm_eval.api.instance import Instance
    return [Instance(request_type=kind, doc={}, arguments=pair, idx=i) for i, pair in enumerate(arguments)]


@CHECKS.add
def sums_are_those_of_score(server):
    for how in ({"batch_size": 1, "num_concurrent": 1}, {"batch_size": 4, "num_concurrent": 1},
                {"batch_size": 1, "num_concurrent": 4}):
        lm = model_of(server, **how)
        assert lm.tokenizer_backend == "remote"
        sums = lm.loglikelihood(requests("loglikelihood", PAIRS))
        with tempfile.TemporaryDirectory() as folder:
            for (context, continuation), (found, _) in zip(PAIRS, sums):
                begun, whole = lm._encode_pair(context, continuation)
                expected = sum(server.score(begun + whole, folder)[len(begun):])
                assert found == expected, (how, context, found, expected)


@CHECKS.add
def generates_until(server):
    lm = model_of(server, batch_size=1)
    until = {"until": ["."], "max_gen_toks": 12, "temperature": 0}
    texts = lm.generate_until(requests("generate_until", [(context, dict(until)) for context, _ in PAIRS]))
    for (context, _), text in zip(PAIRS, texts):
        # As it sends them: ids, without BOS.
        body = {"prompt": lm.tok_encode(context), "max_tokens": 12, "temperature": 0, "stop": ["."]}
        assert text == server.post("/v1/completions", body)["choices"][0]["text"], context


@CHECKS.long
def evaluates_a_task(server):
    import lm_eval
    from lm_eval.tasks import TaskManager
    with tempfile.TemporaryDirectory() as folder:
        rows = [{"question": f"{a} and", "choices": [" one", " two", " rope"], "answer": i % 3}
                for i, a in enumerate("abcdefghijkl")]
        with open(os.path.join(folder, "rows.jsonl"), "w") as out:
            import json
            out.writelines(json.dumps(row) + "\n" for row in rows)
        with open(os.path.join(folder, "rope.yaml"), "w") as out:
            out.write(f"""task: rope
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
doc_to_choice: choices
metric_list: [{{metric: acc}}]
""")
        os.environ["HF_DATASETS_CACHE"] = folder
        told = lm_eval.simple_evaluate(
            model=model_of(server, num_concurrent=4), tasks=["rope"],
            task_manager=TaskManager(include_path=folder, include_defaults=False), bootstrap_iters=0)
        assert 0 <= told["results"]["rope"]["acc,none"] <= 1 and told["n-samples"]["rope"]["effective"] == 12
