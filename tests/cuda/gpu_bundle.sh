#!/usr/bin/env bash
# gpu_bundle.sh SOURCE_DIR: what scripts/gpu-bundle.sh takes along, and what it refuses.
set -u
source "$1/tests/expect.sh"

# A repository with a build whose programs are any.
tree="$work/tree"
build="$tree/build/release"
mkdir -p "$tree/scripts" "$build"/{bin,tests,tests/cuda/tree/tests,lib/ropewalk/backends,lib/ropewalk/samplers}
cp "$1/scripts/gpu-bundle.sh" "$tree/scripts/"
echo /build/ >"$tree/.gitignore"
git -C "$tree" init -q
git -C "$tree" add .
programs=(bin/ropewalk bin/kernels_bench bin/canary tests/test_ops tests/cuda/tree/tests/test_cuda_models)
for file in "${programs[@]}" lib/ropewalk/backends/{cuda,cpu,vulkan}.so lib/ropewalk/samplers/greedy.so; do
  cp "$(command -v awk)" "$build/$file"
done
settings() { printf 'CMAKE_BUILD_TYPE:STRING=%s\nROPEWALK_CUDA_ARCHITECTURES:STRING=%s\n' "$1" "$2" >"$build/CMakeCache.txt"; }
settings Release "75;90"
bundle() { "$tree/scripts/gpu-bundle.sh" "$tree/build/gpu" "$build" 2>&1; }

text="$(bundle)" || fail "$text"
expect "$text" "MiB, with the tree"
found="$(tar tzf "$tree/build/gpu/gpu-bundle.tgz" | sort | tr '\n' ' ')"
for file in bin/ropewalk bin/kernels_bench bin/canary bin/test_ops bin/test_cuda_models \
            lib/ropewalk/backends/cuda.so lib/ropewalk/backends/cpu.so lib/ropewalk/samplers/greedy.so; do
  expect "$found" "./$file "
done
[[ $found != *vulkan* ]] || fail "Vulkan's module goes along: $found"
[[ $found != *libc.so* && $found != *libstdc++* ]] || fail "the other machine's libraries go along: $found"
bundle >/dev/null || fail "an earlier bundle is not replaced"

# What the tree and the bundle have together is what counts; what git ignores stays.
truncate -s 70M "$tree/build/ignored"
bundle >/dev/null || fail "an ignored file counts"
truncate -s 64M "$tree/fixture"
text="$(bundle)" && fail "64 MiB and a bundle were taken"
expect "$text" "are more than the 64 MiB that can travel"
rm "$tree/fixture"

rm "$build/bin/canary"
expect "$(bundle)" "bin/canary is not there: cmake --preset release"
settings Release 75
expect "$(bundle)" "is built for GPUs '75', expected 90"
settings Debug 90
expect "$(bundle)" "is a build of type 'Debug', expected Release"
rm "$build/CMakeCache.txt"
expect "$(bundle)" "is no build tree"
mkdir "$work/mine"
touch "$work/mine/file"
settings Release 90a
cp "$(command -v awk)" "$build/bin/canary"
expect "$("$tree/scripts/gpu-bundle.sh" "$work/mine" "$build" 2>&1)" "is there and no earlier bundle"
[[ -e $work/mine/file ]] || fail "a folder of somebody else's was emptied"
expect "$("$tree/scripts/gpu-bundle.sh" 2>&1)" "usage: "

finish
