#!/usr/bin/env bash
# style.sh SOURCE_DIR: clang-format 14 would change nothing, no comment is wider than 100 columns (clang-format
# leaves comments alone), no source file is over 500 lines, no folder holds more than 27 sources, tests have one
# namespace, each third-party library is included by its room alone (the table in CONTRIBUTING.md), and the files that
# comments and documents name exist (citations.sh).
set -u
cd "$1" || exit 2
failures=0
fail() { echo "FAIL $1"; failures=$((failures + 1)); }

mapfile -t sources < <(find core backends plugins apps tests bench -name '*.cpp' -o -name '*.h' \
  -o -name '*.cu' -o -name '*.cuh' | sort)
[ "${#sources[@]}" -gt 50 ] || fail "found only ${#sources[@]} sources below $1"

unformatted=$(clang-format-14 --dry-run "${sources[@]}" 2>&1 | grep -c 'warning:' || true)
[ "$unformatted" -eq 0 ] || fail "clang-format would change $unformatted places: run clang-format -i"
for file in "${sources[@]}"; do
  lines=$(wc -l < "$file")
  [ "$lines" -le 500 ] || fail "$file has $lines lines: split it by subject"
done
wide=$(LC_ALL=C.UTF-8 grep -nE '^.{101}' "${sources[@]}" | grep -E '^[^:]*:[0-9]*: *//' | cut -d: -f1,2)
[ -z "$wide" ] || fail "comments are wider than 100 columns: $(tr '\n' ' ' <<<"$wide")"

other_namespace=$(grep -lE '^namespace ropewalk(::tests)? \{' $(find tests -name '*.cpp' -o -name '*.h'))
[ -z "$other_namespace" ] || fail "tests are in ropewalk::test, but not $other_namespace"

while read -r count folder; do
  [ "$count" -le 27 ] || fail "$folder holds $count sources: divide it by subject"
done < <(printf '%s\n' "${sources[@]%/*}" | sort | uniq -c)

only() {  # HEADER ALLOWED_FOLDER...
  local header=$1; shift
  local users
  users=$(grep -l -E "#include [<\"]$header" "${sources[@]}" | grep -v '^tests/' || true)
  for folder in "$@"; do users=$(grep -v "^$folder/" <<<"$users" || true); done
  [ -z "$users" ] || fail "$header is included outside $*: $(tr '\n' ' ' <<<"$users")"
}
only yaml-cpp core/config
only boost/dll core/modules
only boost/asio core/http
only boost/beast core/http
only sentencepiece core/sentencepiece
only pcre2 core/pattern
only utf8proc core/tokenizer_json
only nlohmann core/json
only CLI apps
only histedit apps
only openssl core/digest
# A module may include core/abi and nothing else of core.
strangers=$(grep -l -E '#include "core/' $(find backends plugins -name '*.cpp' -o -name '*.h' -o -name '*.cu') \
  | xargs grep -H -E '#include "core/' | grep -v '"core/abi/' || true)
[ -z "$strangers" ] || fail "modules include more than core/abi: $strangers"

bash tests/build/citations.sh . || failures=$((failures + 1))

[ "$failures" -eq 0 ] && echo "ok: ${#sources[@]} files"
exit "$((failures > 0))"
