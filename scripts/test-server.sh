#!/usr/bin/env bash
# Real clients against the built `ropewalk serve`: openai-python, langchain-openai, lm-evaluation-harness, bodies of
# SillyTavern and Open WebUI, nginx, HAProxy and (--long) vllm-router in front (tools/clients), and the promise that a
# reply does not depend on who else is served (tests/end_to_end/promise_test.cpp).
#
#   scripts/test-server.sh [--long] [GROUP...]
#
# Groups are the modules of tools/clients. --long adds what takes minutes. The clients are installed once, into
# build/clients; $CLIENTS names another virtual environment. $BUILD is the build (default: build/release). Ends with 77
# where the clients are not there and --offline is given.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
clients=${CLIENTS:-build/clients}
long=() groups=() offline=
for argument in "$@"; do
  case $argument in
    --long) long=(--long) ;;
    --offline) offline=1 ;;
    -*) echo "usage: $0 [--long] [--offline] [GROUP...]" >&2; exit 2 ;;
    *) groups+=("$argument") ;;
  esac
done
[ -x "$build/bin/ropewalk" ] || { echo "$0: no $build/bin/ropewalk: build it first" >&2; exit 2; }

# A virtual environment is whole when the pins that it was made from are written into it.
if ! cmp -s tools/clients/requirements.txt "$clients/requirements.txt"; then
  [ -z "$offline" ] || { echo "skipped: no clients in $clients, scripts/test-server.sh installs them" >&2; exit 77; }
  python3 -m venv "$clients"
  "$clients/bin/pip" install -q -r tools/clients/requirements.txt
  cp tools/clients/requirements.txt "$clients/requirements.txt"
fi

"$clients/bin/python" -m tools.clients "$build/bin/ropewalk" configs/airophin-mini.yaml "${long[@]}" "${groups[@]}"
if [ ${#long[@]} -gt 0 ] && [ ${#groups[@]} -eq 0 ]; then
  ROPEWALK_PROMISE_REQUESTS=200 "$build/tests/test_end_to_end" --gtest_filter='*Promise.*/cpu'
  ROPEWALK_PROMISE_REQUESTS=6 "$build/tests/test_end_to_end" --gtest_filter='*Promise.*/vulkan'
fi
