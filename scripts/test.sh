#!/usr/bin/env bash
# Installs what is missing, builds and passes the tests: with GCC, as users run it, and then what reads other
# people's files once more under Clang's AddressSanitizer and UBSan. PRESETS=release runs the first alone. Further
# arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh test

for preset in ${PRESETS:-release asan}; do
  echo "== $preset"
  # Where there is nvcc: for the oldest and the newest GPUs alone, which is what the time allows.
  cmake --preset "$preset" -DROPEWALK_TESTS=ON -DROPEWALK_CUDA_ARCHITECTURES="75;90"
  cmake --build --preset "$preset"
  ctest --preset "$preset" --parallel "$(nproc)" "$@"
done
