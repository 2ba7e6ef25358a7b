#!/usr/bin/env bash
# sdk.sh BUILD_DIR CXX: what docs/writing-a-sampler.md and its siblings promise. Installs BUILD_DIR into
# a temporary prefix, and there: `ropewalk new` for all three kinds, cmake, ctest (a unit test, the
# listing, a prompt answered with the plugin), and a plugin that another compiler's string refuses.
set -euo pipefail
build=$1
compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAIL $1"; exit 1; }

cmake --install "$build" --prefix "$work/prefix" > "$work/install.log" || { cat "$work/install.log"; exit 1; }
ropewalk=$work/prefix/bin/ropewalk
[ -x "$ropewalk" ] || fail "no program in the prefix"

# Headers include each other and the standard library, nothing else.
headers=$work/prefix/include/ropewalk
strangers=$(grep -rhoE '#include [<"][^>"]+' "$headers" | grep -vE '#include ("core/abi/|<[a-z_]+$)' || true)
[ -z "$strangers" ] || fail "installed headers include $strangers"

# The commands that `new` prints, as they are, from the build tree and a program named by a relative path.
(
  cd "$build"
  mkdir "$work/a b"
  bin/ropewalk new prompt-format my-prompt-format --into "$work/a b" > "$work/printed"
  export CXX=$compiler CXXFLAGS="-Wall -Wextra -Werror"
  grep '^  ' "$work/printed" > "$work/commands"
  bash -e "$work/commands" > "$work/commands.log" 2>&1 || { cat "$work/printed" "$work/commands.log"; fail "printed commands"; }
)

# Documents, what shells and man read.
for file in doc/ropewalk/LICENSE doc/ropewalk/README.md doc/ropewalk/docs/cli.md man/man1/ropewalk.1 \
            bash-completion/completions/ropewalk zsh/site-functions/_ropewalk fish/vendor_completions.d/ropewalk.fish; do
  [ -s "$work/prefix/share/$file" ] || fail "no $file in the prefix"
done

for kind in sampler rope-scaling; do
  name=my-$kind
  "$ropewalk" new "$kind" "$name" --into "$work" > /dev/null
  lines=$(wc -l < "$work/$name/$name.cpp")
  [ "$lines" -lt 40 ] || fail "$name.cpp has $lines lines"
  {
    cmake -S "$work/$name" -B "$work/$name/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
          -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" &&
    cmake --build "$work/$name/build" &&
    ctest --test-dir "$work/$name/build" --output-on-failure --no-tests=error
  } > "$work/$name.log" 2>&1 || { cat "$work/$name.log"; fail "$name"; }
  exported=$(readelf -W --dyn-syms "$work/$name/build/$name.so" |
             awk '$7 != "UND" && $5 == "GLOBAL" && $6 == "DEFAULT" {print $8}')
  [ "$exported" = ropewalk_module ] || fail "$name.so exports $exported"
  # As its use.yaml says it, from another folder.
  (cd / && "$ropewalk" run "$work/$name/use.yaml" --prompt hi --max-new-tokens 2 > /dev/null)
done

# The errors that authors of new plugins meet first.
sed -i 's/distance: 3/distanc: 3/' "$work/my-sampler/use.yaml"
found=$("$ropewalk" run "$work/my-sampler/use.yaml" --prompt hi 2>&1 || true)
grep -q 'use.yaml:5:.*unknown option distanc. Did you mean distance' <<< "$found" || fail "option: $found"

# Everything that configs/ names was installed with it.
"$ropewalk" run "$work/prefix/share/ropewalk/configs/airophin-mini.yaml" --backend cpu --prompt hi \
  --max-new-tokens 2 > /dev/null
echo "ok: three plugins from an installed prefix"
