#!/usr/bin/env bash
# Makes a folder that verifies the CUDA backend on another machine, which needs an NVIDIA driver, glibc 2.36
# and, for long prompts and the rate of products, cuBLAS: cuda-bundle.sh FOLDER [BUILD]. Run FOLDER/verify.sh
# there. BUILD is a build tree with the backend and the tests in it (default: build/release).
set -euo pipefail
if [[ $# -lt 1 || $# -gt 2 ]]; then
  echo "usage: $0 FOLDER [BUILD]" >&2
  exit 2
fi
source="$(cd "$(dirname "$0")/.." && pwd)"
folder="$1"
build="$(realpath "${2:-$source/build/release}")"
cuda="$(find "$build" -path '*/ropewalk/backends/cuda.so' -type f -print -quit)"
if [[ -z $cuda ]]; then
  echo "$0: no cuda.so under $build; configure with nvcc at hand, then build" >&2
  exit 1
fi
modules="$(realpath "$(dirname "$cuda")/..")"

# The tree has the shape of the build, so that the programs find their modules by the same path.
relative="$(realpath --relative-to="$build" "$modules")"
if [[ -e $folder && ! -e $folder/verify.sh && -n $(ls -A "$folder") ]]; then
  echo "$0: $folder is there and no earlier bundle; name a new or empty folder" >&2
  exit 1
fi
rm -rf "$folder"
mkdir -p "$folder"/{bin,tests,libraries,fixtures,models,configs} "$folder/$relative"
cp "$build/bin/ropewalk" "$folder/bin/"
cp "$build/tests/test_ops" "$build/tests/cuda/tree/tests/test_cuda_models" "$folder/tests/"
cp -r "$modules/." "$folder/$relative/"
cp -r "$source/tests/fixtures/models" "$folder/fixtures/"
cp -r "$source/models/airophin-mini" "$folder/models/"
cp "$source/configs/airophin-mini.yaml" "$folder/configs/"
cp "$source/scripts/cuda-verify.sh" "$folder/verify.sh"
find "$folder/bin" "$folder/tests" "$folder/$relative" -type f -exec strip --strip-unneeded {} +

# Libraries that only a developer's machine has; glibc and the driver stay the other machine's.
find "$folder/bin" "$folder/tests" "$folder/$relative" -type f -exec ldd {} \; |
  awk '$3 ~ /^\// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*|libvulkan|libcuda)\.so' |
  xargs -r cp -L -t "$folder/libraries"

megabytes="$(du -sm "$folder" | cut -f1)"
echo "$folder: $megabytes MiB"
if ((megabytes > 64)); then
  echo "$0: more than the 64 MiB that can travel" >&2
  exit 1
fi
