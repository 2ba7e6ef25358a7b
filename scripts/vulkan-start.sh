#!/usr/bin/env bash
# Time from the start of the program to the first token on Vulkan: first with nothing compiled, then with the files that
# the first start has left on disk.
#
#   scripts/vulkan-start.sh [CONFIG]      default configs/airophin-mini.yaml; ROPEWALK names the program
#
# Drivers have their own cache of compiled shaders beside the backend's pipeline cache. The second line is with the
# backend's alone, the third with both. lavapipe's pipeline cache is empty: only its own cache saves time.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
ropewalk=${ROPEWALK:-$root/build/release/bin/ropewalk} config=${1:-$root/configs/airophin-mini.yaml}
[ -x "$ropewalk" ] || { echo "error: $ropewalk: no such program. Build it, or set ROPEWALK." >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/driver"

seconds() {  # NAME=VALUE...
  local from to
  from=$(date +%s%N)
  env XDG_CACHE_HOME="$folder" "$@" "$ropewalk" run "$config" --backend vulkan --quiet \
      --prompt "A rope." --max-new-tokens 1 > "$folder/out"
  to=$(date +%s%N)
  echo "$(((to - from) / 1000000)) ms"
}

backend_alone=(MESA_SHADER_CACHE_DISABLE=true __GL_SHADER_DISK_CACHE=0)
with_driver=(MESA_SHADER_CACHE_DIR="$folder/driver" __GL_SHADER_DISK_CACHE_PATH="$folder/driver")
echo "nothing on disk:                 $(seconds "${backend_alone[@]}")"
echo "the backend's pipeline cache:    $(seconds "${backend_alone[@]}")"
seconds "${with_driver[@]}" > "$folder/fills-the-driver's"
echo "and the driver's own:            $(seconds "${with_driver[@]}")"
du -b "$folder"/ropewalk/* | sed "s|\t.*| bytes of the backend's|"
