#!/usr/bin/env bash
# Real clients against the built `ropewalk serve`: openai-python, langchain-openai, lm-evaluation-harness, bodies of
# SillyTavern and Open WebUI, nginx, HAProxy and vllm-router in front, clients that misbehave (tools/clients), and the
# promise that a reply does not depend on who else is served (tests/end_to_end/promise_test.cpp).
#
#   scripts/test-server.sh [--long] [--offline] [GROUP...]
#   scripts/test-server.sh --install
#
# Groups are the modules of tools/clients. --long adds what takes minutes. --install only installs the clients, from PyPI
# into build/clients: 315 MB in half a minute; --long adds the rest of what lm-evaluation-harness needs. $CLIENTS names
# another virtual environment. $BUILD is the build (default: build/release). Ends with 77 where pip cannot install the
# clients, or where --offline is given and they are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
clients=${CLIENTS:-build/clients}
long=() groups=() offline= only_install=
for argument in "$@"; do
  case $argument in
    --long) long=(--long) ;;
    --offline) offline=1 ;;
    --install) only_install=1 ;;
    -*) echo "usage: $0 [--long] [--offline] [--install] [GROUP...]" >&2; exit 2 ;;
    *) groups+=("$argument") ;;
  esac
done

skip() { echo "skipped: $1" >&2; exit 77; }
pip() { "$clients/bin/python" -m pip -q --disable-pip-version-check "$@" >&2; }

# install FILE OPTION...: into the virtual environment, which keeps the pins that it was made from.
install() {
  local file=$1 told="$clients/$(basename "$1")"
  shift
  cmp -s "$file" "$told" && return
  [ -z "$offline" ] || skip "no clients in $clients; scripts/test-server.sh --install installs them"
  [ -x "$clients/bin/python" ] || python3 -m venv "$clients" || skip "python3 makes no virtual environment"
  pip install --no-compile --retries 2 --timeout 15 "$@" -r "$file" || skip "pip could not install $file from PyPI"
  cp "$file" "$told"
}

install tools/clients/requirements.txt --no-deps
[ ${#long[@]} -eq 0 ] || install tools/clients/requirements-long.txt
[ -z "$only_install" ] || exit 0

[ -x "$build/bin/ropewalk" ] || { echo "$0: no $build/bin/ropewalk: build it first" >&2; exit 2; }
"$clients/bin/python" -m tools.clients "${long[@]}" "$build/bin/ropewalk" configs/airophin-mini.yaml "${groups[@]}"
if [ ${#long[@]} -gt 0 ] && [ ${#groups[@]} -eq 0 ]; then
  ROPEWALK_PROMISE_REQUESTS=200 "$build/tests/test_end_to_end" --gtest_filter='*Promise.*/cpu'
  ROPEWALK_PROMISE_REQUESTS=6 "$build/tests/test_end_to_end" --gtest_filter='*Promise.*/vulkan'
fi
