#!/usr/bin/env bash
# card_table.sh SOURCE_DIR PROGRAM: scripts/card-table.sh on the fixture's small model in place of the
# card's: the same figures as `ropewalk perplexity`, the published ones beside them.
set -u
source=$1 program=$2
source "$source/tests/expect.sh"
text=$source/tests/fixtures/eval/text.txt model=$source/tests/fixtures/eval/model
table() { ROPEWALK=$program CONTEXTS=512,1024 "$source/scripts/card-table.sh" "$@"; }

out=$(table "$text" airophin-v2-13b-PI-8k-fp16="$model" airophin-13b-pntk-16k-fp16="$model" \
  airophin-v2-13b-PI-8k-GPTQ="$model" -- --backend cpu --quiet) || fail "it ended with $?"
alone=$("$program" perplexity "$source/configs/card/airophin-13b-pntk-16k-fp16.yaml" --text "$text" \
  --context 1024 --csv --quiet --backend cpu --set "model=$model" | tail -1 | cut -d, -f2)
want=$(printf %.2f "$alone")
grep -q "^| context | airophin-v2-13b-PI-8k-fp16 | airophin-13b-pntk-16k-fp16 | airophin-v2-13b-PI-8k-GPTQ |$" \
  <<< "$out" || fail "no heading: $out"
grep -q "^| 1024 | [0-9.]* (5.99) | $want (6.20) | [0-9.]* (-) |$" <<< "$out" || fail "no row with $want: $out"
grep -q "^1024,airophin-13b-pntk-16k-fp16,$want,[0-9.]*,1023,6.20$" <<< "$out" || fail "no line of CSV: $out"
[ "$(grep -c , <<< "$out")" -ge 7 ] || fail "too few lines: $out"

if table "$text" airophin="$model" > /dev/null 2> "$work/err"; then fail "an unknown name is taken"; fi
grep -q "no such configuration in configs/card" "$work/err" || fail "unknown name: $(cat "$work/err")"
if out=$(table "$text" airoboros-l2-13b-gpt4-1.4.1="$work" -- --backend cpu 2> /dev/null); then
  fail "a folder without weights is taken"; fi
grep -q "^| 512 | - (7.23) |$" <<< "$out" || fail "a failure hides the published figures: $out"

finish
