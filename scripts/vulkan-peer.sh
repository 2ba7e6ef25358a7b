#!/usr/bin/env bash
# Our 4-bit matrix product on the first Vulkan device beside ggml's at the same shape, in turns, so that
# both see the same machine.
#
#   scripts/vulkan-peer.sh TEST_BACKEND_OPS [BUILD_FOLDER]      default build/release
#
# TEST_BACKEND_OPS is ggml's program of that name with its Vulkan backend; ours is bin/vulkan_bench. Rows
# of x: ROWS, default "1 8 512", of those that ggml's program measures. Ours runs the reference workload,
# groups of 32 in act-order with the gather before it; ggml's q4_0 has groups of 32 and no order.
# Prints both outputs to stderr and a table to stdout.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { echo "usage: $0 TEST_BACKEND_OPS [BUILD_FOLDER]" >&2; exit 2; }
peer=$1 ours=${2:-$root/build/release}/bin/vulkan_bench
for program in "$peer" "$ours"; do
  [ -x "$program" ] || { echo "error: $program: no such program" >&2; exit 2; }
done

# ggml hides software devices unless one is named.
peer_gflops() {
  GGML_VK_VISIBLE_DEVICES=${GGML_VK_VISIBLE_DEVICES:-0} "$peer" perf -o MUL_MAT -b Vulkan0 \
      -p "type_a=q4_0,type_b=f32,m=4096,n=$1,k=14336," 2>/dev/null |
    sed 's/\x1b\[[0-9;]*m//g' | tee >(cat >&2) |
    awk '/us\/run/ { unit = $NF; value = $(NF - 1)
                     print value * (unit ~ /^T/ ? 1000 : unit ~ /^M/ ? 0.001 : 1) }'
}

our_gflops() {
  "$ours" "$1" | tee >(cat >&2) |
    awk '/^vulkan matmul gptq4 g32 act-order/ { for (i = 1; i < NF; ++i) if ($(i + 1) == "GFLOP/s") print $i }'
}

echo "| rows of x | ropewalk, GFLOP/s | ggml, GFLOP/s | ratio |"
echo "|---|---|---|---|"
for rows in ${ROWS:-1 8 512}; do
  theirs=$(peer_gflops "$rows")
  own=$(our_gflops "$rows")
  [ -n "$theirs" ] && [ -n "$own" ] || { echo "error: $rows rows: a program printed no figure" >&2; exit 1; }
  awk -v r="$rows" -v o="$own" -v t="$theirs" 'BEGIN { printf "| %d | %.2f | %.2f | %.1f |\n", r, o, t, o / t }'
done
