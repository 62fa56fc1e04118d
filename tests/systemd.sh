#!/bin/bash
# SPDX-License-Identifier: MIT
# What systemd says of the unit, without running it: systemd.sh UNIT FLEETFS. Faults, and how exposed it
# is; it runs for real in tests/package. 77: there is no systemd-analyze.
set -euo pipefail
unit=$1 fleetfs=$(realpath "$2")

command -v systemd-analyze >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# An instance, and a program that is there.
sed "s|^ExecStart=[^ ]*|ExecStart=$fleetfs|" "$unit" >"$folder/fleetfs@test.service"
said=$(systemd-analyze verify --man=no "$folder/fleetfs@test.service" 2>&1) || true
echo "$said"
# Of other units of this machine it may say what it likes.
if grep -q fleetfs <<<"$said"; then
	exit 1
fi
# 4 of 10: what is left is what a mount needs, or what would hide it (see the unit).
systemd-analyze security --offline=true --threshold=40 --no-pager "$folder/fleetfs@test.service"
