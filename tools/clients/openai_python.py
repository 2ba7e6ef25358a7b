"""openai-python, as a user's program calls it."""

import openai

from .server import Checks, Server

CHECKS = Checks()


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)


def refusal(call):
    try:
        call()
    except openai.APIError as error:
        return type(error).__name__, error.code
    return None


MESSAGES = [{"role": "user", "content": "What colour is the sky?"}]


@CHECKS.add
def models(server):
    client, model = client_of(server), server.model
    assert client.models.retrieve(model).id == model
    assert client.models.retrieve(model).owned_by == "ropewalk"


@CHECKS.add
def completion(server):
    client, model = client_of(server), server.model
    answer = client.completions.create(model=model, prompt="The sky is", max_tokens=8, temperature=0)
    assert answer.object == "text_completion" and len(answer.choices) == 1
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0
    streamed = client.completions.create(model=model, prompt="The sky is", max_tokens=8, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == answer.choices[0].text


@CHECKS.add
def completion_choices(server):
    client, model = client_of(server), server.model
    answer = client.completions.create(
        model=model, prompt=["The sky is", [1, 5, 9]], n=2, best_of=2, max_tokens=4, seed=7, temperature=1.2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    again = client.completions.create(model=model, prompt="The sky is", max_tokens=4, seed=8, temperature=1.2)
    assert again.choices[0].text == answer.choices[1].text  # choice k has the seed plus k


@CHECKS.add
def completion_logprobs(server):
    client, model = client_of(server), server.model
    answer = client.completions.create(
        model=model, prompt="The sky is", echo=True, max_tokens=1, logprobs=3, temperature=0)
    logprobs = answer.choices[0].logprobs
    sizes = {len(x) for x in (logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, logprobs.text_offset)}
    assert sizes == {answer.usage.total_tokens}
    assert logprobs.token_logprobs[0] is None and logprobs.token_logprobs[-1] == max(
        logprobs.top_logprobs[-1].values())
    assert answer.choices[0].text.startswith("The sky is")


@CHECKS.add
def completion_stops(server):
    client, model = client_of(server), server.model
    text = client.completions.create(model=model, prompt="The sky is", max_tokens=12, temperature=0).choices[0].text
    stop = text[3:5]
    cut = client.completions.create(model=model, prompt="The sky is", max_tokens=12, temperature=0, stop=stop)
    assert cut.choices[0].text == text[:text.index(stop)] and cut.choices[0].finish_reason == "stop"


@CHECKS.add
def chat(server):
    client, model = client_of(server), server.model
    answer = client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=12)
    message = answer.choices[0].message
    assert message.role == "assistant" and message.content and message.tool_calls is None
    assert message.refusal is None
    stream = client.chat.completions.create(
        model=model, messages=MESSAGES, max_completion_tokens=12, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == answer.choices[0].finish_reason
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == answer.usage.total_tokens
    assert all(c.usage is None for c in chunks[:-1])


@CHECKS.add
def chat_helper(server):
    client, model = client_of(server), server.model
    with client.chat.completions.stream(model=model, messages=MESSAGES, max_completion_tokens=12) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content


@CHECKS.add
def chat_logprobs(server):
    client, model = client_of(server), server.model
    answer = client.chat.completions.create(
        model=model, messages=MESSAGES, max_completion_tokens=6, logprobs=True, top_logprobs=2, temperature=0)
    content = answer.choices[0].logprobs.content
    assert content and all(len(token.top_logprobs) == 2 for token in content)
    assert all(token.logprob == token.top_logprobs[0].logprob for token in content)
    joined = b"".join(bytes(token.bytes) for token in content).decode()
    assert joined.strip() == answer.choices[0].message.content.strip()


@CHECKS.add
def errors(server):
    client, model = client_of(server), server.model
    create = client.chat.completions.create
    assert refusal(lambda: create(model="gpt-4", messages=MESSAGES)) == ("NotFoundError", "model_not_found")
    assert refusal(lambda: create(model=model, messages=[])) == ("BadRequestError", "invalid_value")
    assert refusal(lambda: create(model=model, messages=MESSAGES, response_format={"type": "json_object"})) == (
        "BadRequestError", "unsupported_parameter")
    assert refusal(lambda: create(model=model, messages=[{"role": "user", "content": "a " * 5000}])) == (
        "BadRequestError", "context_length_exceeded")
    assert refusal(lambda: client.embeddings.create(model=model, input="a")) == ("NotFoundError", "unknown_url")
    assert refusal(lambda: client.completions.create(model=model, prompt="a", top_p=7)) == (
        "BadRequestError", "invalid_value")


@CHECKS.add
def keys(server):
    with Server(server.program, server.config, "serve.per_key={tokens_per_minute: 1}",
                env={"ROPEWALK_API_KEYS": "ann:secret-one"}) as guarded:
        assert refusal(client_of(guarded, "secret-two").models.list) == ("AuthenticationError", "invalid_api_key")
        client = client_of(guarded, "secret-one")
        assert client.models.list().data
        client.completions.create(model="airophin-mini", prompt="The sky is", max_tokens=2)
        assert refusal(lambda: client.completions.create(model="airophin-mini", prompt="a", max_tokens=2)) == (
            "RateLimitError", "rate_limited")
