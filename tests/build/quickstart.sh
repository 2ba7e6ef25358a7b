#!/usr/bin/env bash
# quickstart.sh SOURCE_DIR BUILD_DIR: what scripts/quickstart.sh says at its end, with the built program and a stand-in for CMake
# that left a backend out, and one that did not.
set -euo pipefail
source=$1 build=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
fail() { echo "FAIL $1"; exit 1; }

mkdir -p "$tree/scripts" "$tree/build" "$tree/bin"
cp "$source/scripts/quickstart.sh" "$tree/scripts/"
printf '#!/bin/sh\n' > "$tree/scripts/install-packages.sh"
printf '#!/bin/sh\n[ "$1" = --preset ] && printf "%%s" "$CONFIGURED"; true\n' > "$tree/bin/cmake"
chmod +x "$tree/scripts/install-packages.sh" "$tree/bin/cmake"
ln -s "$source/configs" "$source/models" "$tree/"
ln -s "$build" "$tree/build/release"

says() { CONFIGURED=$1 PATH=$tree/bin:$PATH "$tree/scripts/quickstart.sh" 2>&1; }
said=$(says $'-- backend cuda: left out, no nvcc (CUDA toolkit 12 or 13)\n-- Found OpenSSL\n')
[[ $said == *"Blueberries are now green."* ]] || fail "no answer: $said"
end=$(tail -n 3 <<< "$said")
[[ $end == *"Its backends: "*"cpu"*$'.\nLeft out of this build: cuda: no nvcc (CUDA toolkit 12 or 13)\nWhat to do about it: docs/gpu-setup.md.' ]] ||
  fail "the last lines are: $end"
said=$(says $'-- Found OpenSSL\n')
[[ $(tail -n 1 <<< "$said") == *"Its backends: "* ]] || fail "nothing left out, the last line is: $(tail -n 1 <<< "$said")"
echo "ok: the last lines name what was left out"
