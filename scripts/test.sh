#!/usr/bin/env bash
# Installs what is missing, builds and passes the tests: with GCC, as users run it. `PRESETS="release asan"`
# adds what reads other people's files under Clang's AddressSanitizer and UBSan. Further arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh test

for preset in ${PRESETS:-release}; do
  echo "== $preset"
  # Where there is nvcc: for the oldest and the newest GPUs alone, which is what the time allows.
  cmake --preset "$preset" -DROPEWALK_TESTS=ON -DROPEWALK_CUDA_ARCHITECTURES="75;90"
  cmake --build --preset "$preset"
  ctest --preset "$preset" --parallel "$(nproc)" "$@"
done
