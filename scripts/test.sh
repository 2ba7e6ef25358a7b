#!/usr/bin/env bash
# Installs missing packages, builds and runs the tests: with GCC, as users build it, then the tests of code that reads
# untrusted files under Clang's AddressSanitizer and UBSan. PRESETS=release only runs the first. Further arguments go
# to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh test

for preset in ${PRESETS:-release asan}; do
  echo "== $preset"
  # With nvcc: only for the oldest and the newest GPUs, to save time.
  cmake --preset "$preset" -DROPEWALK_TESTS=ON -DROPEWALK_CUDA_ARCHITECTURES="75;90"
  cmake --build --preset "$preset"
  ctest --preset "$preset" --parallel "$(nproc)" "$@"
done
