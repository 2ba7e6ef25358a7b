#!/usr/bin/env bash
# The model card's table of perplexity by context length, measured where the weights are, beside the
# published figures.
#
#   scripts/card-table.sh TEXT NAME=FOLDER... [-- OPTION...]
#
# TEXT is the text to measure on; the published figures fit the wikitext-2-raw-v1 test set, its lines
# joined by "\n\n". NAME is a configuration in configs/card without its ending, FOLDER the folder of
# its weights. Options after -- go to `ropewalk perplexity`: --backend, --set, --windows. The table
# goes to stdout, first as Markdown, then as CSV. $ROPEWALK is the program, $CONTEXTS other lengths.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
ropewalk=${ROPEWALK:-$root/build/release/bin/ropewalk}
contexts=${CONTEXTS:-512,1024,2048,4096,8192,12000}

usage() { echo "usage: $0 TEXT NAME=FOLDER... [-- OPTION...]" >&2; exit 2; }
[ $# -ge 2 ] || usage
text=$1; shift
[ -x "$ropewalk" ] || { echo "error: $ropewalk: no such program. Build it, or set ROPEWALK." >&2; exit 2; }

names=() folders=() options=()
for argument in "$@"; do
  if [ ${#options[@]} -gt 0 ] || [ "$argument" = -- ]; then options+=("$argument"); continue; fi
  name=${argument%%=*}
  [ "$name" != "$argument" ] || usage
  [ -f "$root/configs/card/$name.yaml" ] || {
    echo "error: $name: no such configuration in configs/card. Known are:" \
         "$(cd "$root/configs/card" && ls | sed 's/\.yaml$//' | tr '\n' ' ')" >&2; exit 2; }
  names+=("$name") folders+=("$(realpath "${argument#*=}")")
done
[ ${#names[@]} -gt 0 ] || usage

# The card, https://huggingface.co/bhenrym14/airophin-v2-13b-PI-8k-GPTQ; it has no column for the GPTQ file.
published() {
  case $1 in
    airophin-v2-13b-PI-8k-fp16) echo "512:7.38 1024:5.99 2048:5.22 4096:4.90 8192:4.71 12000:55" ;;
    airophin-13b-pntk-16k-fp16) echo "512:7.62 1024:6.20 2048:5.38 4096:5.08 8192:4.90 12000:4.82" ;;
    airoboros-13b-gpt4-1.4.1-PI-8192-fp16) echo "512:8.24 1024:6.71 2048:5.87 4096:5.50 8192:5.32 12000:56.1" ;;
    airoboros-33b-gpt4-1.4.1-lxctx-PI-16384-fp16) echo "512:7.90 1024:6.17 2048:5.23 4096:4.91" ;;
    airoboros-l2-13b-gpt4-1.4.1) echo "512:7.23 1024:5.85 2048:5.07 4096:4.77 8192:57.1" ;;
  esac
}

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
failed=0
for i in "${!names[@]}"; do
  echo "${names[$i]} ..." >&2
  for pair in $(published "${names[$i]}"); do echo "P,${names[$i]},${pair%:*},${pair#*:}" >> "$rows"; done
  measured=$("$ropewalk" perplexity "$root/configs/card/${names[$i]}.yaml" --text "$text" \
    --context "$contexts" --csv --set "model=${folders[$i]}" "${options[@]:1}") || { failed=1; continue; }
  tail -n +2 <<< "$measured" | sed "s/^/M,${names[$i]},/" >> "$rows"
done

awk -F, -v names="${names[*]}" -v contexts="$contexts" '
  $1 == "P" { published[$2, $3] = $4 }
  $1 == "M" { value[$2, $3] = sprintf("%.2f", $4); error[$2, $3] = $5; tokens[$2, $3] = $7; sum = $NF }
  function cell(map, name, context) { return (name, context) in map ? map[name, context] : "-" }
  END {
    n = split(names, name, " "); m = split(contexts, context, ",")
    print "Perplexity, protocol chunk; measured (published). Text: sha256 " sum "\n"
    printf "| context |"; for (i = 1; i <= n; i++) printf " %s |", name[i]
    printf "\n|---|"; for (i = 1; i <= n; i++) printf "---|"
    for (j = 1; j <= m; j++) {
      printf "\n| %s |", context[j]
      for (i = 1; i <= n; i++)
        printf " %s (%s) |", cell(value, name[i], context[j]), cell(published, name[i], context[j])
    }
    print "\n\ncontext,model,perplexity,stderr,tokens,published"
    for (j = 1; j <= m; j++)
      for (i = 1; i <= n; i++)
        printf "%s,%s,%s,%s,%s,%s\n", context[j], name[i], cell(value, name[i], context[j]),
               cell(error, name[i], context[j]), cell(tokens, name[i], context[j]),
               cell(published, name[i], context[j])
  }' "$rows"
exit "$failed"
