#!/usr/bin/env bash
# gpu-run.sh FOLDER SECONDS STAGE[:LIMIT]... — tests and measures the CUDA backend in one command on a machine with an
# NVIDIA GPU, from the repository's root. scripts/gpu-bundle.sh made FOLDER, whose archive is unpacked for the run.
#
#   scripts/gpu-run.sh build/gpu 285 env canary ops wgmma models bench13 kernels
#   scripts/gpu-run.sh build/gpu 315 env ops13 prompts sweep bench13 ncu sanitizer
#
# Stages run in the order below, the most valuable first, whatever the order of the arguments. Each has a limit in
# seconds; those of a command add up to its SECONDS, which bound them all. One that fails or hangs does not stop the next. Figures are printed as they come;
# complete outputs are in $OUT/results.tgz (default: results), rewritten after each stage.
# $BENCH has more options for bench13, such as "--set backend.matvec=tiles16". Ends with 1 where a stage failed.
#
# shellcheck disable=SC2317  # stages are functions that are called by name
set -uo pipefail
all_stages=" env canary ops ops13 wgmma models bench13 kernels prompts sweep ncu sanitizer "

# shellcheck source=scripts/stages.sh
source "$(dirname "$0")/stages.sh"
read_arguments "$@"

programs="$(mktemp -d)"
trap 'rm -rf "$results" "$programs"' EXIT
tar xzf "$here/gpu-bundle.tgz" -C "$programs" || usage "no bundle in $1"
here="$programs"

# cuBLAS is not on every loader's path: Python packages or a toolkit bring it. Takes the newest, and of equal ones the
# first.
newest() { sed -nE 's/^.*\.so\.([0-9]+)$/\1 &/p' | sort -s -k 1,1nr | sed -n '1s/^[0-9]* //p'; }
cublas="$({
  ldconfig -p | awk '/libcublas\.so\.1[23]/ { print $NF }'
  python3 -c 'import sys; print("\n".join(p for p in sys.path if p))' | while IFS= read -r packages; do
    ls "$packages"/nvidia/{cu13,cublas,cu12}/lib/libcublas.so.1[23]
  done
} 2>/dev/null | newest)"
[[ -n $cublas ]] ||
  cublas="$(find /usr/local /opt /usr/lib -name 'libcublas.so.1[23]' -not -path '*/stubs/*' 2>/dev/null | newest)"
export LD_LIBRARY_PATH="$here/libraries${cublas:+:$(dirname "$cublas")}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export ROPEWALK_FIXTURES="$PWD/tests/fixtures" CUDA_TEST_BACKEND=cuda ROPEWALK_EXPECT_DEVICES=cuda ROPEWALK_MODULES
ROPEWALK_MODULES="$(dirname "$(dirname "$(find "$here" -name cuda.so -print -quit)")")"

environment() {
  uname -rm
  ldd --version | head -n 1
  nvidia-smi --format=csv,noheader \
    --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,power.limit,temperature.gpu,ecc.mode.current
  echo "cuBLAS: ${cublas:-none}; bundle of $(cat "$here/commit"); tools: $(command -v ncu compute-sanitizer | tr '\n' ' ')"
  "$here/bin/ropewalk" devices
}
tests() { "$here/bin/test_ops" --gtest_filter="$1" --gtest_brief=1; }
models() { "$here/bin/test_cuda_models" --gtest_brief=1; }
bench() {
  # shellcheck disable=SC2086  # $BENCH is several words
  "$here/bin/ropewalk" bench --backend cuda --shape llama2-13b --quant gptq4-g32-act ${BENCH:-} "$@"
}
# Without a recording and with two layers, so that each kernel is launched by itself and but a few times. The card's
# clocks are left alone.
profile() {
  local metrics="gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed"
  metrics+=",smsp__inst_executed.sum,smsp__issue_active.avg.pct_of_peak_sustained_active"
  metrics+=",sm__warps_active.avg.pct_of_peak_sustained_active,launch__registers_per_thread"
  metrics+=",smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio"
  metrics+=",smsp__average_warps_issue_stalled_no_instruction_per_issue_active.ratio"
  ncu --clock-control none --csv --page raw --metrics "$metrics" \
    -k 'regex:^(lean|matmul|matmul_wide|attention_ring|attention_split|combine|rms_norm|dense_stream|dense_matmul|largest_keys)_kernel' \
    "$here/bin/kernels_bench" --eager --layers 2 --rows 1
}
sanitizer() {
  local tool code=0
  for tool in memcheck racecheck; do
    echo "-- $tool"
    timeout -k 2 29 compute-sanitizer --tool "$tool" --error-exitcode 9 "$here/bin/test_ops" --gtest_brief=1 \
      --gtest_filter='*Matmul.gptq4_g32*/cuda:*Attention.dim_64*/cuda' || code=1
  done
  return "$code"
}
export -f environment tests models bench profile sanitizer
export here cublas

thirteen='*Matmul.gptq4_g32*/cuda:*Attention*/cuda:*Fusion*/cuda'
stage env 10 figures 16 environment
stage canary 25 figures 60 "$here/bin/canary"
stage ops 60 mismatches 25 tests '*/cuda:Devices.*'
stage ops13 30 mismatches 25 tests "$thirteen:Devices.*"
stage wgmma 20 mismatches 12 tests '*Matmul.gptq4_g32*/cuda_wgmma:*Matmul.gptq4_deep/cuda_wgmma:*Attention*/cuda_wgmma:*Fusion*/cuda_wgmma'
stage models 45 mismatches 25 models
stage bench13 75 figures 20 bench --prompt 512,2048,8064 --batch 1,8 --decode 128
stage kernels 50 figures 150 "$here/bin/kernels_bench" --all
stage prompts 30 figures 40 "$here/bin/kernels_bench" --all --rows 2048
stage sweep 75 figures 40 "$here/bin/kernels_bench" --sweep
stage ncu 35 figures 60 profile
stage sanitizer 60 figures 12 sanitizer
echo "== all: $((SECONDS - begin)) s of $limit"
nvidia-smi --query-gpu=clocks.sm,power.draw,temperature.gpu --format=csv,noheader 2>&1 | head -n 1
exit $failed
