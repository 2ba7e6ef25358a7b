#!/usr/bin/env bash
# From a fresh clone to the bundled model's answer: installs what is missing, builds, asks. The last lines say what the build
# has, and what was left out of it and why.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh build
# With nvcc, builds the CUDA backend for the GPUs of this machine; without a GPU it is left out.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset release -DROPEWALK_TESTS=OFF -DROPEWALK_BENCH=OFF -DROPEWALK_CUDA_ARCHITECTURES=native > "$log" || {
  cat "$log" >&2; exit 1; }
cmake --build --preset release >&2

echo "The question is configs/prompts/blueberries.txt; the answer:" >&2
build/release/bin/ropewalk run configs/airophin-mini.yaml --prompt-file configs/prompts/blueberries.txt

{
  echo "The program is build/release/bin/ropewalk. Its backends: $(ls build/release/lib*/ropewalk/backends | sed 's/\.so$//' | xargs)."
  sed -n 's/^-- backend \(.*\): left out, /Left out of this build: \1: /p' "$log"
  if grep -q '^-- backend .*: left out' "$log"; then echo "What to do about it: docs/gpu-setup.md."; fi
} >&2
