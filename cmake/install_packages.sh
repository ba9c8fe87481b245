#!/usr/bin/env bash
# Installs the Debian packages that Atoll needs to build, run and be tested; does nothing where all of them are there.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config git ccache mold
  libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler
  libucx-dev libabsl-dev nlohmann-json3-dev libcli11-dev libyaml-cpp-dev libssl-dev
  libboost-dev libgtest-dev libgmock-dev libbenchmark-dev libpcre2-dev
  clang libclang-rt-14-dev
  python3
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing ${#missing[@]} packages: ${missing[*]}"
as_root=(); [ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
