#!/bin/bash
# SPDX-License-Identifier: MIT
# What systemd says of the units, without running them: systemd.sh UNIT USER-UNIT FLEETFS. Faults, and
# how exposed that of the system is; they run for real in tests/package. 77: there is no
# systemd-analyze; with FLEETFS_NO_SKIP=1 that is a failure.
set -euo pipefail
unit=$1 user_unit=$2 fleetfs=$(realpath "$3")

if ! command -v systemd-analyze >/dev/null; then
	echo "systemd-analyze is not installed" >&2
	[ -z "${FLEETFS_NO_SKIP:-}" ] || exit 1
	exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export XDG_RUNTIME_DIR=$folder # verify --user has to have one

# verify UNIT OPTION...: an instance of it, and with a program that is there.
verify() {
	local said

	sed "s|^ExecStart=[^ ]*|ExecStart=$fleetfs|" "$1" >"$folder/fleetfs@test.service"
	shift
	said=$(systemd-analyze verify "$@" --man=no "$folder/fleetfs@test.service" 2>&1) || true
	echo "$said"
	# Of other units of this machine it may say what it likes.
	! grep -q fleetfs <<<"$said"
}

verify "$user_unit" --user
verify "$unit"
# 4 of 10: what is left is what a mount needs, or what would hide it (see the unit).
systemd-analyze security --offline=true --threshold=40 --no-pager "$folder/fleetfs@test.service"
