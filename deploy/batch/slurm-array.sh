#!/usr/bin/env bash
# A file of questions on many machines: each task of an array answers one shard.
#   sbatch --array=0-15 deploy/batch/slurm-array.sh my.yaml questions.jsonl answers/
#   sbatch --dependency=afterany:JOB --wrap='ropewalk merge --input questions.jsonl --output answers.jsonl answers/*.jsonl'
# A task that is killed, preempted or out of time is queued again and goes on where it was. `merge` says what is missing.
# Add what the cluster wants: --partition, --gres=gpu:1, --mem.
#SBATCH --job-name=ropewalk-batch
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
set -uo pipefail

if [ $# -ne 3 ] || [ -z "${SLURM_ARRAY_TASK_COUNT:-}" ]; then
  echo "usage: sbatch --array=0-N $0 CONFIG QUESTIONS.jsonl FOLDER" >&2
  exit 2
fi
config=$1 questions=$2 folder=$3
shard=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))
mkdir -p "$folder"

ropewalk batch "$config" --input "$questions" --output "$folder/part-$shard.jsonl" \
  --shard "$shard/$SLURM_ARRAY_TASK_COUNT" &
batch=$!
# Two minutes before the end of its time Slurm tells this shell; the replies that run end, and the rest comes later.
trap 'kill -TERM "$batch"' TERM
wait "$batch"; code=$?
# A signal ends `wait` early.
while kill -0 "$batch" 2> /dev/null; do wait "$batch"; code=$?; done
[ "$code" -eq 143 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
exit "$code"
