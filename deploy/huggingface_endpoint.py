"""python huggingface_endpoint.py REPOSITORY IMAGE FORMAT: a Hugging Face Inference Endpoint.

It serves the model in REPOSITORY (org/name) by the image of deploy/Containerfile, built with CUDA and pushed as IMAGE,
with the prompt format FORMAT (`ropewalk plugins` lists them). Needs huggingface_hub==2.4.0 and a token that may create
endpoints. In the form of the website: task custom, the image's address, port 8000, health route /health, and ARGUMENTS.
"""

import sys

import huggingface_hub

# The model is mounted at /repository. The endpoint's proxy asks for tokens, so the server itself asks nobody.
ARGUMENTS = ["serve", "/etc/ropewalk/serve.yaml", "--listen", "0.0.0.0:8000", "--set", "model=/repository",
             "--set", "serve.model_name=model", "--set", "serve.anonymous=true"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    repository, image, prompt_format = sys.argv[1:]
    endpoint = huggingface_hub.create_inference_endpoint(
        "ropewalk",
        repository=repository,
        framework="custom",
        task="custom",
        custom_image={"url": image, "port": 8000, "healthRoute": "/health"},
        container_args=[*ARGUMENTS, "--set", "prompt.format=" + prompt_format],
        vendor="aws",
        region="us-east-1",
        accelerator="gpu",
        instance_type="nvidia-l4",
        instance_size="x1",
        min_replica=0,
        max_replica=1,
        type="authenticated",
    )
    endpoint.wait()
    print("base URL for OpenAI's clients:", endpoint.url + "/v1")


if __name__ == "__main__":
    main()
