#!/usr/bin/env bash
# slurm_array.sh ROPEWALK: deploy/batch/slurm-array.sh as Slurm runs it, three tasks on this machine. One is told that
# its time is over, one is killed; both come again. What `merge` then joins is what one run answers.
set -euo pipefail
cd "$(dirname "$0")/../.."
"$1" merge --help > /dev/null 2>&1 || { echo "this ropewalk has no batch"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAIL $1"; exit 1; }

mkdir "$scratch/bin"
ln -s "$(realpath "$1")" "$scratch/bin/ropewalk"
cat > "$scratch/bin/scontrol" <<'END'
#!/bin/sh
echo "$@" >> "$(dirname "$0")/../scontrol"
END
chmod +x "$scratch/bin/scontrol"
export PATH=$scratch/bin:$PATH

questions=$scratch/questions.jsonl
for i in $(seq 90); do
  echo '{"custom_id":"q-'"$i"'","method":"POST","url":"/v1/completions","body":{"prompt":"Number '"$i"':",
    "max_tokens":400,"temperature":1,"ignore_eos":true}}' | tr -d '\n' ; echo
done > "$questions"

export SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_MIN=4 SLURM_ARRAY_TASK_COUNT=3
task() {
  SLURM_ARRAY_TASK_ID=$1 exec bash deploy/batch/slurm-array.sh configs/airophin-mini.yaml "$questions" "$scratch/answers"
}
wait_for_answers() {
  for _ in $(seq 900); do [ -s "$1" ] && return; sleep 0.05; done
  fail "no answers in $1"
}
task 4 2> "$scratch/log" & first=$!
wait_for_answers "$scratch/answers/part-0.jsonl"
kill -TERM "$first"
wait "$first" && fail "a task whose time is over ended with 0"
[ "$(cat "$scratch/scontrol")" = "requeue 7_4" ] || fail "it was not queued again"
# On a busy machine a task may be done before it is killed: then it is tried again.
killed=
for _ in 1 2 3 4 5; do
  rm -f "$scratch"/answers/part-1.*
  task 5 2>> "$scratch/log" & second=$!
  wait_for_answers "$scratch/answers/part-1.jsonl"
  pkill -KILL -P "$second" || true
  wait "$second" || { killed=1; break; }
done
[ -n "$killed" ] || fail "a killed task ended with 0"
ropewalk merge --input "$questions" --output "$scratch/all.jsonl" "$scratch"/answers/part-*.jsonl 2> "$scratch/missing" &&
  fail "merge did not see that answers are missing"

for id in 4 5 6; do (task $id) 2>> "$scratch/log" || fail "task $id: $(cat "$scratch/log")"; done
ropewalk merge --input "$questions" --output "$scratch/all.jsonl" "$scratch"/answers/part-*.jsonl
ropewalk batch configs/airophin-mini.yaml --input "$questions" --output "$scratch/one.jsonl" --quiet
python3 - "$scratch/all.jsonl" "$scratch/one.jsonl" <<'END'
import json, sys
def texts(path):
    lines = [json.loads(line) for line in open(path)]
    return {line["custom_id"]: line["response"]["body"]["choices"][0]["text"] for line in lines}, len(lines)
shards, one = map(texts, sys.argv[1:])
assert shards == one and one[1] == 90, (shards[1], one[1])
END
echo ok
