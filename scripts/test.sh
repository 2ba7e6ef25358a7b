#!/usr/bin/env bash
# Installs missing packages, builds and runs the tests: with GCC, as users build it, then the tests of code that reads
# untrusted files under Clang's AddressSanitizer and UBSan. PRESETS=release only runs the first.
#
#   scripts/test.sh [--long] [ARGUMENT-OF-CTEST...]
#
# Tests with the label "long" repeat others in a second way that rarely shows more; --long runs them too.
set -euo pipefail
cd "$(dirname "$0")/.."

short=(--label-exclude '^long$')
if [ "${1:-}" = --long ]; then
  short=()
  shift
fi

scripts/install-packages.sh test
# Clients of the server, from PyPI: where that is out of reach, the test clients.all is skipped.
scripts/test-server.sh --install || [ $? -eq 77 ]

for preset in ${PRESETS:-release asan}; do
  echo "== $preset"
  # With nvcc: only for the oldest and the newest GPUs, to save time.
  cmake --preset "$preset" -DROPEWALK_TESTS=ON -DROPEWALK_CUDA_ARCHITECTURES="75;90"
  cmake --build --preset "$preset"
  ctest --preset "$preset" --parallel "$(nproc)" "${short[@]}" "$@"
done
