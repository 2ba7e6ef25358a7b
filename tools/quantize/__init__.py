"""`ropewalk quantize` beside AutoGPTQ 0.7.1: the same model, the same tokens, the same settings."""
