#!/usr/bin/env bash
# gpu_run.sh SOURCE_DIR: scripts/gpu-run.sh with programs that print, fail and hang in place of the real ones.
set -u
script="$1/scripts/gpu-run.sh"
source "$1/tests/expect.sh"
export TMPDIR="$work"
cd "$work" || exit 2
kept() { tar xzOf results/results.tgz "./$1.txt" 2>/dev/null; }

mkdir -p bundle tools programs/{bin,libraries,lib/ropewalk/backends}
touch programs/lib/ropewalk/backends/cuda.so
echo 0123abc >programs/commit
program tools/nvidia-smi <<<'echo "A GPU, 580"'
program programs/bin/ropewalk <<'END'
if [[ $1 == devices ]]; then echo "cuda 0: A GPU"; exit; fi
echo "bench: $*"
for row in 1 2 3; do echo "row $row"; sleep 0.3; done
END
program programs/bin/canary <<<'seq -f "read %g TB/s" 70'
program programs/bin/kernels_bench <<'END'
echo "kernel $*: first"
sleep 30 &
sleep 30
END
program programs/bin/test_ops <<'END'
echo "filter $*"
for i in $(seq 6); do
  printf 'tests/ops/some_test.cpp:%s: Failure\nExpected equality\n  %s\n[  FAILED  ] Some.%s/cuda (1 ms)\n' $i $i $i
done
echo "[  FAILED  ] 6 tests, listed below:"
exit 1
END
program programs/bin/test_cuda_models <<<'echo "loader: no such library" >&2; exit 127'
tar czf bundle/gpu-bundle.tgz -C programs .
export PATH="$work/tools:$PATH"
run() { timeout 60 "$script" bundle "$@" 2>&1; }

# Everything that ends by itself: figures, mismatches, reasons; the archive has all of it.
text="$(run 60 env canary ops models bench13)"
code=$?
((code == 1)) || fail "code $code where stages failed"
expect "$text" 'A GPU, 580'
expect "$text" 'cuBLAS: .*; bundle of 0123abc'
expect "$text" 'read 60 TB/s'
expect_not "$text" 'read 61 TB/s'
expect "$text" 'some_test.cpp:1: Failure'
expect "$text" '^  4$'
expect_not "$text" '^  5$'
expect "$text" '6 tests, listed below'
expect "$text" '== ops: code 1, '
expect "$text" '\| loader: no such library'
expect "$text" '== models: code 127, '
expect "$text" 'bench: bench --backend cuda --shape llama2-13b .*--prompt 512,2048,8064'
expect "$text" '== bench13: code 0, '
expect "$(kept canary)" 'read 70 TB/s'
expect "$(kept ops)" 'filter --gtest_filter=\*/cuda:Devices.\* --gtest_brief=1'
expect "$(kept bench13)" 'row 3'

# One that hangs is cut off by its own limit, with what it left running; what it printed is kept, the next goes on.
# Not cut off it would last 30 s: the bound of 28 s tells the two apart on a busy machine too.
begin=$SECONDS
text="$(BENCH="--set backend.matvec=tiles16" run 60 kernels:2 sweep:2 bench13)"
((SECONDS - begin < 28)) || fail "$((SECONDS - begin)) s for two stages of 2 s"
expect "$text" 'kernel --all: first'
expect "$text" 'kernel --sweep: first'
expect "$text" '== kernels: cut off, [0-9]+ s of 2'
expect "$text" 'gptq4-g32-act --set backend.matvec=tiles16'
expect "$text" 'row 3'
expect "$(kept kernels)" 'kernel --all: first'

# SECONDS bound them all together, and archives are there from the first stage on.
rm -rf results
begin=$SECONDS
text="$(run 3 env kernels sweep)"
((SECONDS - begin < 28)) || fail "$((SECONDS - begin)) s of 3"
expect "$text" '== kernels: cut off, [0-9]+ s of [23]'
expect "$text" '== sweep: left out, no time is left'
expect "$(kept env)" 'A GPU, 580'
# Killed from outside, the stages before are kept.
rm -rf results
(timeout -s KILL 10 "$script" bundle 60 env kernels) >/dev/null 2>&1
expect "$(kept env)" 'A GPU, 580'

# All that went well ends with 0.
run 60 env canary bench13 >/dev/null || fail "code $? where all went well"

# Mistakes are refused before anything runs.
expect "$(run 60 env warp)" 'no stage warp; usage: .*stages are env canary ops'
expect "$(run soon env)" 'SECONDS is soon'
expect "$("$script" nowhere 60 env 2>&1)" 'no folder nowhere'
expect "$("$script" tools 60 env 2>&1)" 'no bundle in tools'

# The commands that the documents name: every stage is in one of them, and the limits of its stages add up to its SECONDS.
commands() { grep -ohE 'gpu-run\.sh build/gpu [0-9]+ env[ a-z0-9]*[a-z0-9]' "$@" | sed 's/.*gpu //' | sort -u; }
for file in docs/gpu-run.md docs/performance/cuda.md; do
  [[ $(commands "$1/$file") == "$(commands "$script")" ]] || fail "$file names other commands than the script"
done
(($(commands "$script" | wc -l) == 2)) || fail "expected two commands: $(commands "$script")"
while read -r seconds stages; do
  sum=0
  for stage in $stages; do
    each="$(sed -nE "s/^stage $stage ([0-9]+) .*/\1/p" "$script")"
    sum=$((sum + ${each:-1000}))
  done
  ((sum == seconds)) || fail "limits of $sum s in a command of $seconds s: $stages"
done < <(commands "$script")
for stage in $(sed -nE 's/^stage ([a-z0-9]+) .*/\1/p' "$script"); do
  grep -qw "$stage" <(commands "$script") || fail "no command has the stage $stage"
  grep -q "^| \`$stage\` |" "$1/docs/performance/cuda.md" || fail "docs/performance/cuda.md does not describe the stage $stage"
done

finish
