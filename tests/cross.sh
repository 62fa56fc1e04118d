#!/bin/bash
# SPDX-License-Identifier: MIT
# Cross-compiles for another kind of machine, in build-ARCH/, and runs the unit tests under qemu:
#
#	tests/fresh.sh trixie tests/cross.sh ARCH
#
# ARCH: arm64; s390x, which is big endian; armhf, which has 32 bit. As root, on a Debian that is thrown
# away, since it installs the libraries of ARCH.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
arch=$1
case $arch in
arm64) machine=aarch64 ;;
armhf) machine=arm ;;
*) machine=$arch ;;
esac
build=build-$arch

export DEBIAN_FRONTEND=noninteractive
dpkg --add-architecture "$arch"
apt-get -qq update
apt-get -qq install -y --no-install-recommends "crossbuild-essential-$arch" meson ninja-build pkgconf \
	python3 qemu-user "libc6-dev:$arch" "libfuse3-dev:$arch" "libcurl4-openssl-dev:$arch" \
	"libcjson-dev:$arch" "libxxhash-dev:$arch" "libcmocka-dev:$arch" "libmicrohttpd-dev:$arch" \
	"zlib1g-dev:$arch" >/dev/null
mkdir -p "$build"
meson env2mfile --cross --debarch "$arch" -o "$build.ini"
sed -i "s/^\[binaries\]/&\nexe_wrapper = 'qemu-$machine'/" "$build.ini"
tests/build.sh "$build" --cross-file "$build.ini" -Dtests=enabled -Dwerror=true
meson test -C "$build" --no-rebuild --suite unit --timeout-multiplier 10 || true
/usr/bin/python3 -B tests/count.py "$build/meson-logs/testlog.json"
