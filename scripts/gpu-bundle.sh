#!/usr/bin/env bash
# gpu-bundle.sh FOLDER [BUILD] — packs into FOLDER/gpu-bundle.tgz the programs that scripts/gpu-run.sh runs on a machine with
# an NVIDIA GPU, with their modules and libraries. Fixtures and models come with the working tree, which is copied
# separately. FOLDER and the tree must fit into 64 MiB together.
#
# BUILD (default: build/release) comes from
#   cmake --preset release -DROPEWALK_CUDA_ARCHITECTURES=90 && cmake --build --preset release
set -euo pipefail
most_bytes=$((64 << 20))
source="$(cd "$(dirname "$0")/.." && pwd)"

refuse() { echo "$0: $*" >&2; exit 1; }

if [[ $# -lt 1 || $# -gt 2 ]]; then
  echo "usage: $0 FOLDER [BUILD]" >&2
  exit 2
fi
folder="$1"
build="${2:-$source/build/release}"
again="cmake --preset release -DROPEWALK_CUDA_ARCHITECTURES=90 && cmake --build --preset release"

setting() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
[[ -f $build/CMakeCache.txt ]] || refuse "$build is no build tree; make one: $again"
[[ $(setting CMAKE_BUILD_TYPE) == Release ]] || refuse "$build is a build of type '$(setting CMAKE_BUILD_TYPE)', expected Release: $again"
[[ ";$(setting ROPEWALK_CUDA_ARCHITECTURES);" == *";90"* ]] ||
  refuse "$build is built for GPUs '$(setting ROPEWALK_CUDA_ARCHITECTURES)', expected 90: $again"

programs=(bin/ropewalk bin/kernels_bench bin/canary tests/test_ops tests/cuda/tree/tests/test_cuda_models)
for program in "${programs[@]}"; do
  [[ -f $build/$program ]] || refuse "$build/$program is not there: $again"
done
cuda="$(find "$build" -path '*/ropewalk/backends/cuda.so' -type f -print -quit)"
[[ -n $cuda ]] || refuse "no cuda.so under $build, which was configured without nvcc: $again"

if [[ -e $folder && ! -e $folder/gpu-bundle.tgz && -n $(ls -A "$folder") ]]; then
  refuse "$folder is there and no earlier bundle; name a new or empty folder"
fi
programs_to="$(mktemp -d)"
trap 'rm -rf "$programs_to"' EXIT

# Modules keep their relative path, where the programs look for them. The Vulkan backend is not copied: no stage needs it,
# and the GPU machine may lack its loader.
modules="$(dirname "$(dirname "$cuda")")"
relative="$(realpath --relative-to="$build" "$modules")"
mkdir -p "$programs_to"/{bin,libraries} "$programs_to/$(dirname "$relative")"
cp -t "$programs_to/bin" "${programs[@]/#/$build/}"
cp -r "$modules" "$programs_to/$relative"
rm -f "$programs_to/$relative/backends/vulkan.so"
find "$programs_to" -type f -exec strip --strip-unneeded {} +

# Copies libraries that only a developer's machine has. The GPU machine uses its own glibc, its C++ runtime (which
# NVIDIA's libraries use too) and its driver.
find "$programs_to" -type f -exec ldd {} \; | awk '$3 ~ /^\// { print $3 }' | sort -u |
  { grep -Ev '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libstdc\+\+|libgcc_s|libcuda)\.so' || true; } |
  xargs -r cp -L -t "$programs_to/libraries"
git -C "$source" rev-parse HEAD >"$programs_to/commit" 2>/dev/null || echo unknown >"$programs_to/commit"
rm -rf "$folder"
mkdir -p "$folder"
tar czf "$folder/gpu-bundle.tgz" -C "$programs_to" .

# The tree as it travels: what git has and what it does not ignore, without FOLDER.
bytes_of() { { du -cb --files0-from=- 2>/dev/null || true; } | tail -n 1 | cut -f1; }
tree="$(cd "$source" && git ls-files -z --cached --others --exclude-standard --exclude="$(basename "$folder")" | bytes_of)"
bundle="$(stat -c %s "$folder/gpu-bundle.tgz")"
mebibytes() { echo "$((($1 + (1 << 20) - 1) >> 20)) MiB"; }
echo "$folder: $(mebibytes "$bundle"), with the tree $(mebibytes $((bundle + tree)))"
((bundle + tree <= most_bytes)) ||
  refuse "the tree ($(mebibytes "$tree")) and $folder ($(mebibytes "$bundle")) are more than the 64 MiB that can travel"
