#!/bin/bash
# SPDX-License-Identifier: MIT
# Compiles into a build directory: build.sh DIRECTORY [OPTION OF MESON...]. Sets the directory up if it
# is new, and changes its options if they were others. Silent unless that fails.
set -euo pipefail
directory=$1
shift
cd "$(dirname "$(readlink -f "$0")")/.."

build() {
	if [ ! -e "$directory/build.ninja" ]; then
		meson setup "$directory" "$@" || return
	elif [ "$(cat "$directory/options" 2>/dev/null)" != "$*" ]; then
		meson setup --reconfigure "$directory" "$@" || return
	fi
	echo "$*" >"$directory/options"
	ninja -C "$directory"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! build "$@" >"$log" 2>&1; then
	cat "$log"
	echo "$directory/ cannot be built" >&2
	exit 1
fi
