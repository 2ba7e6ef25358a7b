"""langchain-openai's chat model and completion model."""

import langchain_openai
import openai

from .server import Checks

CHECKS = Checks()
QUESTION = "What colour is the sky?"


def chat(server, **more):
    return langchain_openai.ChatOpenAI(
        model=server.model, base_url=server.url + "/v1", api_key="none", max_retries=0, temperature=0, max_tokens=8,
        **more)


@CHECKS.add
def invoke_and_stream(server):
    model = chat(server)
    answer = model.invoke([("system", "Be short."), ("human", QUESTION)])
    assert answer.content and answer.response_metadata["finish_reason"] in ("stop", "length")
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["input_tokens"]
    streamed = "".join(chunk.content for chunk in model.stream([("system", "Be short."), ("human", QUESTION)]))
    assert streamed == answer.content


@CHECKS.add
def batch(server):
    model = chat(server)
    questions = [QUESTION, "Who are you?", "What is a rope?", QUESTION]
    answers = [answer.content for answer in model.batch(questions)]
    assert answers == [model.invoke(question).content for question in questions]


@CHECKS.add
def logprobs(server):
    answer = chat(server, logprobs=True, top_logprobs=2).invoke(QUESTION)
    tokens = answer.response_metadata["logprobs"]["content"]
    assert tokens and all(len(token["top_logprobs"]) == 2 for token in tokens)


@CHECKS.add
def completions(server):
    model = langchain_openai.OpenAI(
        model=server.model, base_url=server.url + "/v1", api_key="none", max_retries=0, temperature=0, max_tokens=8)
    assert model.invoke("The sky is") == "".join(model.stream("The sky is"))


@CHECKS.add
def what_is_missing_is_named(server):
    model = chat(server).with_structured_output({"title": "Colour", "type": "object", "properties": {
        "colour": {"type": "string"}}}, method="json_schema")
    try:
        model.invoke(QUESTION)
    except openai.BadRequestError as error:
        assert error.code == "unsupported_parameter" and error.param == "response_format", error
    else:
        raise AssertionError("a schema was taken, and would have had no effect")
