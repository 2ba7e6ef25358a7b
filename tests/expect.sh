# expect.sh — what tests of scripts share: `source` it. $work is a folder that goes with the test.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAIL $1"; failures=$((failures + 1)); }
expect() { grep -qE -- "$2" <<<"$1" || fail "expected '$2' in: $1"; }        # expect TEXT REGEX
expect_not() { ! grep -qE -- "$2" <<<"$1" || fail "expected no '$2' in: $1"; }
program() {  # program FILE: a shell script of what is on standard input
  { echo '#!/usr/bin/env bash'; cat; } >"$1"
  chmod +x "$1"
}
finish() {
  ((failures == 0)) && echo ok
  exit "$((failures > 0))"
}
