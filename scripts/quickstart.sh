#!/usr/bin/env bash
# From a fresh clone to the bundled model's answer: installs what is missing, builds, asks.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh build
# With nvcc, builds the CUDA backend for the GPUs of this machine; without a GPU it is left out.
cmake --preset release -DROPEWALK_TESTS=OFF -DROPEWALK_BENCH=OFF \
  -DROPEWALK_CUDA_ARCHITECTURES=native > build-quickstart.log || {
  cat build-quickstart.log >&2; exit 1; }
rm -f build-quickstart.log
cmake --build --preset release >&2

echo "The question is configs/prompts/blueberries.txt; the answer:" >&2
exec build/release/bin/ropewalk run configs/airophin-mini.yaml \
  --prompt-file configs/prompts/blueberries.txt
