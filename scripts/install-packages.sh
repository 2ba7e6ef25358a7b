#!/usr/bin/env bash
# Installs the missing ones of the Debian 12 packages that Ropewalk needs.
#   scripts/install-packages.sh build   to build and run
#   scripts/install-packages.sh test    and to test
#   scripts/install-packages.sh deploy  and to check deploy/ whole
set -euo pipefail

build_packages=(
  g++ cmake ninja-build make ccache
  libboost1.81-dev libyaml-cpp-dev libsentencepiece-dev nlohmann-json3-dev libcli11-dev libfmt-dev
  libpcre2-dev libutf8proc-dev libssl-dev libvulkan-dev libedit-dev glslc
)
test_packages=(
  libgtest-dev libgmock-dev libbenchmark-dev
  clang libclang-rt-14-dev clang-format clang-tidy
  binutils procps python3 python3-venv curl dpkg-dev universal-ctags
  mesa-vulkan-drivers vulkan-validationlayers
  chromium-driver
)
# 7 MB. They bring services, which systemd would start: where it runs, they come only when asked for.
router_packages=(nginx haproxy yamllint)
[ -d /run/systemd/system ] || test_packages+=("${router_packages[@]}")
# promtool is in prometheus: 315 MB with its dependencies, 218 of them for the time zones of its web page.
deploy_packages=(prometheus shellcheck)

case "${1:-}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  deploy) wanted=("${build_packages[@]}" "${test_packages[@]}" "${router_packages[@]}" "${deploy_packages[@]}") ;;
  *) echo "usage: $0 build|test|deploy" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q >&2
"${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
