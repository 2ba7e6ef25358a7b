#!/usr/bin/env bash
# Runs our 4-bit matrix product on the first Vulkan device and ggml's at the same shape alternately, so that both run
# under the same conditions.
#
#   scripts/vulkan-peer.sh TEST_BACKEND_OPS [BUILD_FOLDER]      default build/release
#
# TEST_BACKEND_OPS is ggml's program of that name with its Vulkan backend; ours is bin/vulkan_bench. $ROWS are the rows
# of x, default "1 8 512", among those that ggml's program measures. Ours runs the reference workload, groups of 32 in
# act-order with the gather before it; ggml's q4_0 has groups of 32 and no order. Prints both outputs to stderr and a
# table to stdout. GFLOP/s are by the clock, those "a core second" by the program's processor time: on a software device
# that is the same on a busy machine. ggml's includes the few seconds in which it generates its numbers.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { echo "usage: $0 TEST_BACKEND_OPS [BUILD_FOLDER]" >&2; exit 2; }
peer=$1 ours=${2:-$root/build/release}/bin/vulkan_bench
for program in "$peer" "$ours"; do
  [ -x "$program" ] || { echo "error: $program: no such program" >&2; exit 2; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export GGML_VK_VISIBLE_DEVICES=${GGML_VK_VISIBLE_DEVICES:-0}  # ggml hides software devices unless one is named

# "GFLOP/s", "GFLOP for each second of processor time".
measure_peer() {
  local TIMEFORMAT='%U %S'
  { time "$peer" perf -o MUL_MAT -b Vulkan0 -p "type_a=q4_0,type_b=f32,m=4096,n=$1,k=14336," \
      > "$folder/peer" 2> "$folder/notes"; } 2> "$folder/time"
  sed -i 's/\x1b\[[0-9;]*m//g' "$folder/peer"
  cat "$folder/peer" >&2
  read -r user system < "$folder/time"
  # "... 852 runs - 44745.57 us/run - 117.44 MFLOP/run - 2.62 GFLOPS"; one more run warms it up.
  awk -v processor="$(awk "BEGIN { print $user + $system }")" -v rows="$1" '
    / us\/run / { for (i = 1; i < NF; ++i) { if ($(i + 1) == "runs") runs = $i; if ($(i + 1) == "us/run") us = $i }
                  gflop = 2e-9 * rows * 4096 * 14336
                  printf "%.2f %.2f\n", gflop / us * 1e6, gflop * (runs + 1) / processor }' "$folder/peer"
}

measure_ours() {
  "$ours" "$1" > "$folder/ours"
  cat "$folder/ours" >&2
  awk '/^vulkan matmul gptq4 g32 act-order/ {
         for (i = 1; i < NF; ++i) { if ($(i + 1) == "GFLOP/s") rate = $i; if ($i == "core") core = $(i + 1) }
         print rate, core }' "$folder/ours"
}

echo "| rows of x | ropewalk, GFLOP/s | ggml, GFLOP/s | ratio | ropewalk, GFLOP a core second | ggml | ratio |"
echo "|---|---|---|---|---|---|---|"
for rows in ${ROWS:-1 8 512}; do
  read -r theirs their_core < <(measure_peer "$rows") || true
  read -r own own_core < <(measure_ours "$rows") || true
  [ -n "$theirs" ] && [ -n "$own" ] || { echo "error: $rows rows: a program printed no figure" >&2; exit 1; }
  awk -v r="$rows" -v o="$own" -v t="$theirs" -v c="$own_core" -v d="$their_core" 'BEGIN {
    printf "| %d | %.2f | %.2f | %.1f | %.2f | %.2f | %.1f |\n", r, o, t, o / t, c, d, c / d }'
done
