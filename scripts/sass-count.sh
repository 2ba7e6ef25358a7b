#!/usr/bin/env bash
# Counts what the products' kernels of the CUDA backend were compiled to: no GPU is needed, nvcc and cuobjdump
# are (CUOBJDUMP names one that is not on PATH). Further arguments are compute capabilities; without any: all five.
#
#   scripts/sass-count.sh 90
#
# For each kernel with 4-bit codes: registers, bytes of spills, and warp instructions of its inner loop for each
# word of 8 codes a lane, memory's and control's included. The loop is the innermost with the most HMMA; it is
# walked on the path of a full chunk: what only skips a copy's end or a tile's is left out. An HMMA.16816 is one
# word a lane for 8 rows of x, an HMMA.1688 half of one.
#
# For 90 it also compiles what is for sm_90a alone. There a "word" is an HGMMA, a product of 64 x 128 x 16 of four warps,
# for which the tensor cores of a multiprocessor take 64 clocks; a scheduler issues for one of the four.
set -euo pipefail
cd "$(dirname "$0")/.."
cuobjdump=${CUOBJDUMP:-cuobjdump}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Instructions, one a line: address, predicate or "-", the rest. From cuobjdump's listing of one kernel after another.
listing() {
  "$cuobjdump" -sass "$1" | awk '
    /Function : / { print "kernel", $3; next }
    /^ +\/\*[0-9a-f]+\*\/ +[@A-Z]/ {
      sub(/;.*/, ""); address = $1; gsub(/[\/*]/, "", address); $1 = ""
      if ($2 !~ /^@/) $1 = "-"
      $0 = $0; print address, $0 }'
}

# kernel, instructions of the loop's path, HMMA.16816 in it (two HMMA.1688 are one).
loops() {
  awk '
    function number(hex,   n, i) {
      n = 0; hex = tolower(hex); sub(/^0x/, "", hex)
      for (i = 1; i <= length(hex); ++i) n = 16 * n + index("0123456789abcdef", substr(hex, i, 1)) - 1
      return n
    }
    function works(from, to,   i) {  # whether what lies between reads memory or multiplies
      for (i = from; i < to; ++i) if (op[i] ~ /^(HG?MMA|LDS|LDG|LDGSTS|UBLKCP)/) return 1
      return 0
    }
    function finish(   i, j, best, begin, end, hmma, inner, path, words) {
      if (kernel == "") return
      best = 0
      for (i = 0; i < count; ++i) {
        if (target[i] < 0 || target[i] > i) continue
        if (i > 1 && op[i - 2] ~ /^SYNCS.*TRYWAIT/ && target[i - 1] == i - 2) continue  # back from a wait off the path
        hmma = 0; inner = 0
        for (j = target[i]; j <= i; ++j) {
          hmma += op[j] ~ /^HG?MMA/
          if (j < i && target[j] >= target[i] && target[j] <= j && works_hmma(target[j], j)) inner = 1
        }
        if (hmma > best && !inner) { best = hmma; begin = target[i]; end = i }
      }
      if (best == 0) return
      path = 0; words = 0
      for (i = begin; i <= end;) {
        ++path
        if (op[i] ~ /^(HMMA.16816|HGMMA.64x128x16)/) words += 1
        if (op[i] ~ /^HMMA.1688/) words += 0.5
        if (target[i] > i && target[i] <= end && (predicate[i] == "-" || !works(i + 1, target[i]))) i = target[i]
        else ++i
      }
      print kernel, path, words
    }
    function works_hmma(from, to,   i) {
      for (i = from; i < to; ++i) if (op[i] ~ /^HG?MMA/) return 1
      return 0
    }
    $1 == "kernel" { finish(); kernel = $2; count = 0; next }
    {
      predicate[count] = $2; op[count] = $3; target[count] = -1
      if ($3 ~ /^BRA/) target[count] = number($NF) / 16
      ++count
    }
    END { finish() }'
}

# kernel, registers, bytes of spills; from what ptxas says.
resources() {
  awk '
    /Compiling entry function/ { kernel = $0; sub(/^[^\047]*\047/, "", kernel); sub(/\047.*/, "", kernel) }
    /spill stores/ { for (i = 1; i <= NF; ++i) if ($i == "spill") spills[kernel] += $(i - 2) }
    /Used [0-9]+ registers/ { for (i = 1; i <= NF; ++i) if ($i == "Used") print kernel, $(i + 1), spills[kernel] + 0 }'
}

# A kernel of 4-bit codes by its name, and how many tiles of 8 rows its loop has; nothing for another.
named() {
  awk '
    $1 ~ /lean_kernel/ {
      rows = $1 ~ /ELj1E/ ? "1 row" : "8 rows"; zeros = $1 ~ /ZerosE1/ ? "zeros of 4 bits" : "one zero"
      print "lean, " rows ", " zeros "|1|" $0 }
    $1 ~ /attention_wgmma_kernel/ { print "attention, wgmma, no mask|1|" $0 }
    $1 ~ /[^n]_?wgmma_kernelILNS1/ {
      print "large batch, wgmma, " ($1 ~ /ZerosE1/ ? "zeros of 4 bits" : "one zero") "|1|" $0 }
    $1 ~ /lean_wide_kernel/ {
      tiles = $1; sub(/.*CopiesE[0-9]ELj/, "", tiles); sub(/E.*/, "", tiles)
      zeros = $1 ~ /ZerosE1/ ? "zeros of 4 bits" : "one zero"
      print "lean, " 8 * tiles " rows, " zeros "|" tiles "|" $0 }
    $1 ~ /matmul_kernelILj4ELj1E/ { print "tiles_of_8, 1 row|1|" $0 }
    $1 ~ /matmul_wide_kernelILj4E/ {
      tiles = $1; sub(/.*ILj4ELj/, "", tiles); sub(/E.*/, "", tiles)
      print "tiles_of_" 8 * tiles "|" tiles "|" $0 }'
}

# Bytes that a thread block of lean has in flight, from the header that lays out its ring.
in_flight() {
  printf '#include <cstdio>\n#include "backends/cuda/gptq/lean/shared_layout.h"\nusing namespace ropewalk::cuda;\nint main() {
    const uint32_t c = %s;
    std::printf("%%u\\n", gptq::bytes_in_flight(c >= 90 ? Copies::bulk : c >= 80 ? Copies::async_16 : Copies::none,
                                                 gptq::kMaxBlockBytes)); }\n' "$1" >"$work/flight.cpp"
  g++ -std=c++20 -I. -o "$work/flight" "$work/flight.cpp" && "$work/flight"
}

# A line for each kernel of a source with tensor cores: count CAPABILITY SOURCE.
count() {
  nvcc -std=c++20 -O3 -I. "-gencode=arch=compute_$1,code=sm_$1" -cubin -Xptxas -v -o "$work/cubin" "$2" 2>"$work/said" ||
    { cat "$work/said" >&2; exit 1; }
  grep -h serialized "$work/said" || true
  resources <"$work/said" | sort >"$work/resources"
  listing "$work/cubin" | loops | sort >"$work/loops"
  join "$work/loops" "$work/resources" | named | awk -F'[| ]+' -v gpu="sm_$1" '
    { split($0, part, "|"); n = split(part[3], field, " ")
      printf "%-6s %-36s %9d %6d %13d %9.1f\n", gpu, part[1], field[4], field[5], field[2],
             field[2] * part[2] / field[3] }'
}

printf '%-6s %-36s %9s %6s %13s %9s\n' GPU kernel registers spills instructions "a word"
for capability in "${@:-75 80 86 89 90}"; do
  for capability in $capability; do
    for source in $(find backends/cuda/gptq -name matmul.cu -o -name matmul_wide.cu -o -name wide.cu | sort); do
      count "$capability" "$source"
    done
    echo "sm_$capability lean: $(in_flight "$capability") bytes of weights in flight for a thread block, on average"
    if [[ $capability == 90 ]]; then
      for source in $(find backends/cuda -name '*wgmma.cu' | sort); do count 90a "$source"; done
    fi
  done
done
