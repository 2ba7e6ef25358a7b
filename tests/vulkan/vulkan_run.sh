#!/usr/bin/env bash
# vulkan_run.sh SOURCE_DIR: scripts/vulkan-run.sh with programs that print, fail and refuse in place of the real ones. What
# it shares with gpu-run.sh (limits, archives, what hangs) is tested by tests/cuda/gpu_run.sh.
set -u
script="$1/scripts/vulkan-run.sh"
source "$1/tests/expect.sh"
export TMPDIR="$work"
cd "$work" || exit 2
kept() { tar xzOf results/results.tgz "./$1" 2>/dev/null; }

mkdir -p build/bin build/tests
program build/bin/ropewalk <<'END'
[[ $1 == devices ]] && { echo "vulkan 0: A GPU, discrete"; exit; }
echo "bench: $*"
while (($# > 1)); do
  [[ $1 == --trace ]] && echo '{"traceEvents":[]}' >"$2"
  [[ $1 == --shape && $2 == llama2-13b ]] && { echo "error: the model does not fit" >&2; exit 6; }
  [[ $2 == backend.dot=never ]] && { echo "error: device lost" >&2; exit 7; }
  shift
done
echo "decode 1"
END
program build/tests/test_ops <<'END'
echo "filter $* validate ${ROPEWALK_VULKAN_VALIDATE:-no} expects $ROPEWALK_EXPECT_DEVICES"
printf 'tests/ops/some_test.cpp:1: Failure\nExpected equality\n[  FAILED  ] Some.1/vulkan (1 ms)\n'
[[ -v ROPEWALK_VULKAN_VALIDATE ]] || exit 1
END
program build/tests/test_models <<<'echo "[  PASSED  ] 79 tests."'

text="$("$script" build 60 choices trace models bench validate ops env 2>&1)"
(($? == 1)) || fail "code $? where stages failed"
expect "$text" 'vulkan 0: A GPU, discrete'
expect "$text" 'some_test.cpp:1: Failure'
expect "$text" '== ops: code 1, '
expect "$text" '== validate: code 0, '
expect "$text" '79 tests'
expect "$text" '== choices: code 1, '
expect "$(grep -n '^== ' <<<"$text" | tr '\n' ' ')" 'env.*ops.*validate.*bench.*models.*trace.*choices'
expect "$(kept ops.txt)" 'filter --gtest_filter=\*/vulkan:Devices.\* --gtest_brief=1 validate no expects vulkan'
expect "$(kept validate.txt)" 'validate 1'
# A shape that does not fit gives way to the next; any other failure ends the stage.
expect "$(kept bench.txt)" 'does not fit'
expect "$(kept bench.txt)" '--shape llama2-7b .*--prompt 512,2048,7936 --batch 1,8'
expect_not "$(kept bench.txt)" 'tinyllama'
expect "$(kept choices.txt)" '-- float16=never'
expect "$(kept trace.json)" 'traceEvents'

text="$(SHAPE=tinyllama-1.1b BENCH="--set backend.queue=compute" "$script" build 60 bench 2>&1)" || fail "code $? where all went well"
expect "$text" '--shape tinyllama-1.1b --quant gptq4-g32-act --set backend.queue=compute --prompt'

expect "$("$script" build 60 warp 2>&1)" 'no stage warp; usage: .*stages are env ops'
rm build/tests/test_models
expect "$("$script" build 60 env 2>&1)" 'tests/test_models is not there; build it'

finish
