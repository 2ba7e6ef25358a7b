#!/usr/bin/env bash
# vulkan-run.sh BUILD SECONDS STAGE[:LIMIT]... — tests and measures the Vulkan backend in one command on a machine with any
# GPU, from the repository's root. BUILD is a build tree of the machine (cmake --preset release && cmake --build --preset
# release), and the first Vulkan device is measured: VK_DRIVER_FILES names a driver where there are several.
#
#   scripts/vulkan-run.sh build/release 285 env ops validate bench models trace choices
#
# Stages run in the order below, the most valuable first, whatever the order of the arguments. Each has a limit in
# seconds, all together SECONDS; one that fails or hangs does not stop the next. Figures are printed as they come;
# complete outputs are in $OUT/results.tgz (default: results), rewritten after each stage.
#
#   env       the system, the driver, the device and what it lacks
#   ops       each op against its definition, on the device's own kernels
#   validate  matrix products and attention under the Khronos validation layer
#   bench     the largest shape of Llama 2 that fits: ceilings, prefill, decode at short and long texts
#   models    the fixtures' log-probabilities and tokens
#   trace     a step's time by its launch groups, for ui.perfetto.dev (the archive has the file)
#   choices   the same decode with another queue, weights read ahead, without dot products, without f16
#
# $SHAPE names another shape than the largest that fits, $BENCH has more options for bench, such as "--set
# backend.queue=compute". Ends with 1 where a stage failed.
#
# shellcheck disable=SC2317  # stages are functions that are called by name
set -uo pipefail
all_stages=" env ops validate bench models trace choices "
# shellcheck source=scripts/stages.sh
source "$(dirname "$0")/stages.sh"
read_arguments "$@"

for program in bin/ropewalk tests/test_ops tests/test_models; do
  [[ -x $here/$program ]] || { echo "$0: $here/$program is not there; build it: cmake --build --preset release" >&2; exit 2; }
done
export ROPEWALK_EXPECT_DEVICES=vulkan

environment() {
  uname -rm
  ! command -v vulkaninfo >/dev/null || vulkaninfo --summary 2>/dev/null | grep -E 'deviceName|driverInfo|apiVersion' || true
  "$here/bin/ropewalk" devices
}
tests() { "$here/tests/$1" --gtest_filter="$2" --gtest_brief=1; }
validated() { ROPEWALK_VULKAN_VALIDATE=1 tests test_ops 'Devices.*:*Matmul.gptq4_g32*/vulkan:*Attention*/vulkan'; }
bench() {  # bench SHAPE OPTION...
  local shape="$1"
  shift
  # shellcheck disable=SC2086  # $BENCH is several words
  "$here/bin/ropewalk" bench --backend vulkan --shape "$shape" --quant gptq4-g32-act ${BENCH:-} "$@"
}
# A model that does not fit is refused with exit code 6 before anything is read.
largest() {
  local shape code=6
  for shape in ${SHAPE:-llama2-13b llama2-7b tinyllama-1.1b}; do
    bench "$shape" "$@"
    code=$?
    ((code == 6)) || break
  done
  return "$code"
}
traced() { bench tinyllama-1.1b --layers 4 --prompt 512 --decode 8 --trace "$results/trace.json"; }
choices() {
  local choice code=0
  for choice in queue=auto queue=compute prefetch-mib=16 combine=own dot=never float16=never; do
    echo "-- $choice"
    bench tinyllama-1.1b --layers 8 --prompt 512 --decode 64 --set "backend.$choice" || code=1
  done
  return "$code"
}
export -f environment tests validated bench largest traced choices
export here results

stage env 15 figures 24 environment
stage ops 90 mismatches 25 tests test_ops '*/vulkan:Devices.*'
stage validate 60 mismatches 15 validated
stage bench 100 figures 24 largest --prompt 512,2048,7936 --batch 1,8 --decode 128
stage models 60 mismatches 25 tests test_models '*/vulkan_gpu*'
stage trace 30 figures 20 traced
stage choices 60 figures 60 choices
echo "== all: $((SECONDS - begin)) s of $limit"
exit "$failed"
