#!/usr/bin/env bash
# The CUDA backend on this machine: conformance, memory checks, then benchmarks. Part of a bundle, as its
# verify.sh: verify.sh [RESULTS] [conformance|sanitizer|bench]..., all three where none is named. Each leaves
# its output and JSON in RESULTS (default: ./results); summary.json says what passed. Ends with 1 where
# anything failed, with 4 where there is no device.
set -uo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
results="${1:-$here/results}"
shift || true
parts=" ${*:-conformance sanitizer bench} "
mkdir -p "$results"
export ROPEWALK_MODULES ROPEWALK_FIXTURES="$here/fixtures" CUDA_TEST_BACKEND=cuda
ROPEWALK_MODULES="$(dirname "$(dirname "$(find "$here" -name cuda.so -print -quit)")")"
failed=0
summary=()

ours() { LD_LIBRARY_PATH="$here/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }

check() {  # check NAME COMMAND...: its output in NAME.txt, a line here
  local name="$1" begin=$SECONDS verdict=ok
  shift
  if ! "$@" >"$results/$name.txt" 2>&1; then
    verdict=FAILED
    failed=1
    tail -n 15 "$results/$name.txt"
  fi
  echo "$verdict  $name ($((SECONDS - begin)) s)"
  summary+=("{\"name\": \"$name\", \"verdict\": \"$verdict\", \"seconds\": $((SECONDS - begin))}")
}

finish() {
  local IFS=,
  printf '{"date": "%s", "checks": [%s]}\n' "$(date -u +%FT%TZ)" "${summary[*]}" >"$results/summary.json"
  exit "$1"
}

check devices ours "$here/bin/ropewalk" devices
if ! grep -q '^cuda [0-9]*: ' "$results/devices.txt" || grep -q '^cuda 0: not usable' "$results/devices.txt"; then
  echo "no CUDA device: $(grep '^cuda' "$results/devices.txt")"
  finish 4
fi
nvidia-smi >"$results/machine.txt" 2>&1

if [[ $parts == *" conformance "* ]]; then
  check ops ours "$here/tests/test_ops" --gtest_filter='*/cuda' --gtest_output="json:$results/ops.json"
  check models ours "$here/tests/test_cuda_models" --gtest_output="json:$results/models.json"
  check answer ours "$here/bin/ropewalk" run "$here/configs/airophin-mini.yaml" --backend cuda \
    --prompt "Hello" --max-new-tokens 16
fi
if [[ $parts == *" sanitizer "* ]]; then
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
      check "$tool" ours compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/tests/test_ops" \
        --gtest_filter='*Matmul.gptq4_g32*/cuda:*Matmul.gptq3_g32*/cuda:*Matmul.f16*/cuda:*Attention.dim_64*/cuda:*Attention.cache_i8*/cuda:*Fusion*/cuda:*Program.bucket*/cuda'
    done
  else
    echo "skipped  compute-sanitizer is not here"
  fi
fi
if [[ $parts == *" bench "* ]]; then
  bench() {  # bench NAME SHAPE OPTIONS...: the table, or what the options name
    local name="$1" shape="$2"
    shift 2
    check "bench-$name" ours "$here/bin/ropewalk" bench --backend cuda --shape "$shape" \
      --quant gptq4-g32-act --decode 64 --json "$@"
  }
  bench 13b llama2-13b
  bench 13b-int8 llama2-13b --set context.kv_cache=int8
  bench tinyllama tinyllama-1.1b
fi
finish "$failed"
