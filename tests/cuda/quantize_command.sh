#!/usr/bin/env bash
# quantize_command.sh PROGRAM SOURCE [OPTION...]: quantises a fixture on the emulated device and prints which solver its
# report names.
set -euo pipefail
program=$1 source=$2
shift 2
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
seq 1 640 | awk '{ printf "%d%s", $1 * 7 % 90, $1 % 64 ? " " : "\n" }' > "$work/windows.ids"
"$program" quantize "$source/tests/fixtures/models/dense-f16" --backend emulated --out "$work/out" \
  --calibration "$work/windows.ids" "$@" 2>&1
grep '"solver"' "$work/out/ropewalk-quantize.json"
