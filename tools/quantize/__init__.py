"""`ropewalk quantize` beside AutoGPTQ 0.7.1 and GPTQModel 5.6.12: the same model, the same tokens, the same settings."""
