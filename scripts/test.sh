#!/usr/bin/env bash
# Installs what is missing, builds and passes the tests: with GCC as users run it, then with Clang under
# AddressSanitizer and UBSan. Further arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-packages.sh test

for preset in release asan; do
  echo "== $preset"
  cmake --preset "$preset" -DROPEWALK_TESTS=ON
  cmake --build --preset "$preset"
  ctest --preset "$preset" --parallel "$(nproc)" "$@"
done
