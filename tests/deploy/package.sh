#!/usr/bin/env bash
# package.sh BUILD [--root]: makes the Debian package of BUILD, unpacks it and runs the bundled model with what is in it. With
# --root, as root and with mmdebstrap: installs it into a bare Debian 12 with apt, which brings what it depends on, runs it
# there and removes it. Ends with 77 where cpack or dpkg-shlibdeps is missing.
set -euo pipefail
build=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAIL $1"; exit 1; }
for tool in cpack dpkg-deb dpkg-shlibdeps; do
  command -v $tool > /dev/null || { echo "skipped: no $tool"; exit 77; }
done

(cd "$build" && cpack -G DEB -B "$scratch/out") > "$scratch/log" 2>&1 || { cat "$scratch/log"; fail "cpack"; }
package=$(echo "$scratch"/out/ropewalk_*.deb)
[ -f "$package" ] || fail "no package in $(ls "$scratch/out")"
echo "$(basename "$package"): $(du -k "$package" | cut -f1) KiB"

# What it depends on is what the program is linked to, and no more.
depends=$(dpkg-deb -f "$package" Depends)
for library in libc6 libstdc++6 libyaml-cpp libsentencepiece libpcre2-8 libutf8proc libfmt libssl libedit; do
  grep -q -- "$library" <<< "$depends" || fail "does not depend on $library: $depends"
done
count=$(tr ',' '\n' <<< "$depends" | wc -l)
[ "$count" -le 10 ] || fail "depends on $count packages: $depends"
container=$(sed -ne ':a' -e '/\\$/{N;s/\\\n//;ta}' -e '1,/^FROM .*AS build/d' -e '/^FROM/,$s/.*--no-install-recommends \(.*\)\${MORE}.*/\1/p' \
            "$(dirname "$0")/../../deploy/Containerfile" | tr -s ' ' '\n' | grep -v '^$\|libvulkan1' | sort)
linked=$(tr ',' '\n' <<< "$depends" | sed 's/^ *\([^ ]*\).*/\1/' | grep -vxE 'libc6|libgcc-s1|libstdc\+\+6' | sort)
[ "$container" = "$linked" ] || fail "the container gets $(xargs <<< "$container"), the package depends on $(xargs <<< "$linked")"
[ "$(dpkg-deb -f "$package" Recommends)" = libvulkan1 ] || fail "does not recommend libvulkan1"

# Answers the question of README.md, from another folder than it was built in, and with plugins found beside the program.
ask() {  # PREFIX: the arguments of the question
  echo "run $1/share/ropewalk/configs/airophin-mini.yaml --backend cpu --quiet" \
    "--prompt-file $1/share/ropewalk/configs/prompts/blueberries.txt"
}
dpkg-deb -x "$package" "$scratch/files"
files=$scratch/files/usr
[ -f "$files/share/doc/ropewalk/copyright" ] || fail "has no copyright"
# In the zsh of Debian 12 `print -l $fpath` names this folder and not site-functions of /usr.
[ -f "$files/share/zsh/vendor-completions/_ropewalk" ] || fail "zsh does not find its completion"
said=$(cd / && "$files/bin/ropewalk" $(ask "$files"))
[[ $said == "Blueberries are now green."* ]] || fail "unpacked, it answers: $said"
outside=$(cd "$scratch/files" && find . -mindepth 1 -maxdepth 1 ! -name usr)
[ -z "$outside" ] || fail "has files outside of /usr: $outside"
command -v lintian > /dev/null && lintian --allow-root --fail-on error "$package"
echo "ok: unpacked, it answers"
[ "${2:-}" = --root ] || exit 0

root=$scratch/root
in_root() {  # COMMAND...: with /proc, in a mount namespace of its own
  unshare --mount bash -c 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"' "$root" "$@"
}
mmdebstrap --quiet --variant=minbase bookworm "$root"
cp "$package" "$root/tmp/ropewalk.deb"
before=$(in_root dpkg-query -W | wc -l)
in_root sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends /tmp/ropewalk.deb' > "$scratch/log" 2>&1 \
  || { tail -20 "$scratch/log"; fail "apt does not install it"; }
echo "apt installed it and $(($(in_root dpkg-query -W | wc -l) - before - 1)) packages that it depends on"
said=$(in_root /usr/bin/ropewalk $(ask /usr))
[[ $said == "Blueberries are now green."* ]] || fail "in a bare root it answers: $said"
in_root /usr/bin/ropewalk devices
in_root apt-get purge -y -q ropewalk > "$scratch/log" 2>&1 || { tail "$scratch/log"; fail "apt does not remove it"; }
left=$(in_root sh -c 'ls -d /usr/bin/ropewalk /usr/lib/ropewalk /usr/share/ropewalk /usr/include/ropewalk 2> /dev/null' || true)
[ -z "$left" ] || fail "leaves behind: $left"
echo "ok: installed, it answers; removed, it leaves nothing"
