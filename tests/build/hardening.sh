#!/usr/bin/env bash
# hardening.sh FORTIFY FILE... asserts what cmake/Hardening.cmake promises of every built file: position
# independence, full RELRO, no executable stack, no writable and executable segment, stack protector,
# and with FORTIFY=yes checked libc calls.
set -u
fortify=$1; shift
failures=0
expect() {  # FILE WHAT FOUND
  [ "$3" -gt 0 ] && return
  echo "FAIL $1: $2"
  failures=$((failures + 1))
}
count() { grep -c -E "$1" <<<"$2" || true; }

for file in "$@"; do
  header=$(readelf -W -h "$file")
  segments=$(readelf -W -l "$file")
  dynamic=$(readelf -W -d "$file")
  symbols=$(readelf -W --dyn-syms "$file")
  expect "$file" "is not position independent (type DYN)" "$(count 'Type:.*DYN' "$header")"
  expect "$file" "has no GNU_RELRO segment" "$(count 'GNU_RELRO' "$segments")"
  expect "$file" "is not linked with -z now" "$(count '\(FLAGS(_1)?\).*NOW' "$dynamic")"
  expect "$file" "has an executable stack" "$(count 'GNU_STACK.* RW +0x' "$segments")"
  writable_code=$(count 'LOAD.* RWE ' "$segments")
  expect "$file" "has a segment that is writable and executable" "$((writable_code == 0))"
  case "$file" in
    *.so)
      exported=$(grep -c -E ' (GLOBAL|WEAK) +(DEFAULT|PROTECTED) +[0-9]+ ' <<<"$symbols" || true)
      expect "$file" "exports $exported symbols, expected ropewalk_module alone" "$((exported == 1))" ;;
    *)
      expect "$file" "has no stack protector" "$(count '__stack_chk_fail' "$symbols")"
      [ "$fortify" = yes ] && expect "$file" "has no fortified calls" "$(count '_chk@' "$symbols")" ;;
  esac
done
[ "$failures" -eq 0 ] && echo "ok: $# files"
exit "$((failures > 0))"
