# stages.sh — sourced by gpu-run.sh and vulkan-run.sh: stages with limits, whose figures are printed as they come and whose
# complete outputs are kept.
#
# The script sets all_stages (with a blank before and after each) and calls read_arguments "$@", then `stage` for each in
# its order, then ends with $failed. A stage that fails or hangs does not stop the next.
# shellcheck shell=bash disable=SC2034,SC2154  # failed and here are for the scripts, all_stages is theirs

usage() { echo "$0: $1; usage: $0 FOLDER SECONDS STAGE[:LIMIT]..., stages are$all_stages" >&2; exit 2; }
read_arguments() {
  local named
  (($# >= 3)) || usage "too few arguments"
  here="$(cd "$1" 2>/dev/null && pwd)" || usage "no folder $1"
  [[ $2 =~ ^[0-9]+$ ]] || usage "SECONDS is $2"
  limit="$2"
  shift 2
  declare -gA limit_of=()
  for named in "$@"; do
    [[ $named =~ ^([a-z0-9]+)(:([0-9]+))?$ && $all_stages == *" ${BASH_REMATCH[1]} "* ]] || usage "no stage $named"
    limit_of[${BASH_REMATCH[1]}]="${BASH_REMATCH[3]}"
  done
  begin=$SECONDS
  out="${OUT:-results}"
  results="$(mktemp -d)"
  trap 'rm -rf "$results"' EXIT
  mkdir -p "$out"
  failed=0
}

# Filters a stage's output line by line: its first lines, or for Google Test the start of the first mismatches and the
# lists of passed and failed tests.
figures() { sed -u -e 's/^\(.\{160\}\).*/\1/' -e "${1}q"; }
mismatches() {
  local line left=0 blocks=0 ends=0
  while IFS= read -r line; do
    if [[ $line =~ ^\[\ \ (PASSED|FAILED|SKIPPED)\ +\] ]]; then
      ((ends++ < $1)) && echo "${line:0:160}"
      left=0
      continue
    fi
    [[ $line == *": Failure" ]] && left=$((blocks++ < 4 ? 7 : 0))
    ((left-- > 0)) && echo "${line:0:160}"
  done
}

stage() {  # stage NAME LIMIT FILTER LINES COMMAND...
  local name="$1" most="$2" filter="$3" lines="$4" from=$SECONDS left pid rc
  shift 4
  [[ -v limit_of[$name] ]] || return 0
  most="${limit_of[$name]:-$most}"
  left=$((limit - (SECONDS - begin)))
  ((left < most)) && most=$left
  if ((most < 2)); then
    echo "== $name: left out, no time is left"
    failed=1
    return 0
  fi
  echo "== $name"
  : >"$results/$name.txt"
  timeout -k 2 "$most" bash -c '"$@"' _ "$@" >"$results/$name.txt" 2>&1 &
  pid=$!
  tail -s 0.2 -n +1 -f --pid="$pid" "$results/$name.txt" | "$filter" "$lines"
  wait "$pid"
  rc=$?
  ((rc == 0)) || failed=1
  # A test program that ends otherwise than by its own judgement has said why at its end.
  [[ $filter == mismatches ]] && ((rc > 1)) && tail -n 3 "$results/$name.txt" | cut -c 1-160 | sed 's/^/   | /'
  echo "== $name: $( ((rc == 124 || rc == 137)) && echo "cut off" || echo "code $rc"), $((SECONDS - from)) s of $most"
  tar czf "$out/results.tgz.new" -C "$results" . && mv "$out/results.tgz.new" "$out/results.tgz"
}
