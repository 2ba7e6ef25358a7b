#!/usr/bin/env bash
# deploy/try-image.sh BUILD: the second stage of the Containerfile without a container engine. As root, on Debian with
# mmdebstrap: a bare Debian 12 gets the stage's packages and what `cmake --install BUILD` lays down; the stage's command
# serves the bundled model there as its user, with a read-only root. It must be ready, answer, and drain at SIGTERM.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root

# What the stage says, in words of this shell.
stage=$(sed '1,/^FROM .*AS build/d; /^FROM/,$!d' deploy/Containerfile | sed -e ':a' -e '/\\$/N; s/\\\n//; ta')
packages=$(sed -n 's/.*--no-install-recommends \(.*\)\${MORE}.*/\1/p' <<< "$stage" | xargs | tr ' ' ,)
user=$(sed -n 's/^USER //p' <<< "$stage")
command=$(sed -n 's/^CMD //p' <<< "$stage" | tr -d '[],"' | sed 's/0\.0\.0\.0:8000/127.0.0.1:18000/')
program=$(sed -n 's/^ENTRYPOINT //p' <<< "$stage" | tr -d '[]"')
echo "packages: $packages; user: $user; command: $program $command"

mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$root"
cmake --install "$build" --prefix "$scratch/opt" --strip > /dev/null
cp -r "$scratch/opt/." "$root/usr/local/"
chroot "$root" ldconfig
mkdir -p "$root/etc/ropewalk" "$root/models"
cp deploy/serve.yaml "$root/etc/ropewalk/"
cp -r models/airophin-mini "$root/models/model"
du -sh "$root" | sed 's/\t.*/ with the model of 2 MB/'
ldd_says=$(chroot "$root" ldd "$program" | grep 'not found' || true)
[ -z "$ldd_says" ] || { echo "FAIL $ldd_says"; exit 1; }

# The root is mounted read-only in a mount namespace of its own; /proc and /dev are those of this machine.
unshare --mount bash -c '
  set -e
  root=$1 user=$2; shift 2
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --bind /dev "$root/dev"
  mount -o remount,ro,bind "$root"
  chroot "$root" touch /written 2> /dev/null && { echo "FAIL the root can be written"; exit 1; }
  exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"' \
  bash "$root" "$user" "$program" $command --set context.length=512 > "$scratch/out" 2> "$scratch/log" &
server=$!
for _ in $(seq 100); do
  grep -q 'serves' "$scratch/out" && break
  kill -0 "$server" 2> /dev/null || { echo "FAIL it ended:"; cat "$scratch/log"; exit 1; }
  sleep 0.1
done
curl -fsS http://127.0.0.1:18000/health; echo
curl -fsS http://127.0.0.1:18000/v1/chat/completions -H 'Content-Type: application/json' \
  -d '{"messages":[{"role":"user","content":"What colour is the sky?"}],"temperature":0}' ; echo
kill -TERM "$server"
code=0; wait "$server" || code=$?
echo "SIGTERM: ended with $code"
exit "$code"
