#!/bin/bash
# SPDX-License-Identifier: MIT
# Compiles into a build directory: build.sh DIRECTORY [OPTION OF MESON...]. Sets the directory up if it
# is new, and changes its options if they were others. TARGETS (environment): what to compile; by default
# everything. Silent unless that fails; on a terminal one line shows the step, and is removed at the end.
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
	# shellcheck disable=SC2086 # words
	ninja -C "$directory" ${TARGETS:-} | show_steps
}

# Copies the output of ninja, and shows the number of the step on the terminal.
show_steps() {
	local line

	while IFS= read -r line; do
		printf '%s\n' "$line"
		if [ -t 3 ] && [[ $line =~ ^\[[0-9]+/[0-9]+\] ]]; then
			printf '\r%s' "${BASH_REMATCH[0]}" >&3
		fi
	done
	[ ! -t 3 ] || printf '\r\e[K' >&3
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
exec 3>&1
if ! build "$@" >"$log" 2>&1; then
	cat "$log"
	echo "$directory/ cannot be built" >&2
	exit 1
fi
