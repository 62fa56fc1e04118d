#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the mount tests on a build:
#
#	tests/mount/run.sh BUILD [--only=together|alone] [OPTION OF PYTEST...]
#
# First the tests that run together. They mostly wait, so each processor gets two; JOBS=N sets another
# number, 0 is one after the other. Then those that are marked `alone`, which bound times closely. Each
# part writes a JUnit report into BUILD. Ends with 1 if a test fails or nothing could be run.
set -uo pipefail
build=$(realpath "$1")
shift
only=''
case ${1:-} in
--only=*)
	only=${1#--only=}
	shift
	;;
esac
cd "$(dirname "$(readlink -f "$0")")" || exit

status=0
# part NAME OPTION...: 5 means that no test of this part matches the options.
part() {
	local name=$1 ended=0
	shift
	[ "${only:-$name}" = "$name" ] || return 0
	rm -f "$build/mount-$name.xml"
	/usr/bin/python3 -B -m pytest -q --tb=short --build="$build" \
		--junitxml="$build/mount-$name.xml" "$@" || ended=$?
	[ "$ended" -eq 0 ] || [ "$ended" -eq 5 ] || status=1
}

# loadgroup: a test is handed out when a process is free to run it.
part together -m 'not alone' --dist=loadgroup --numprocesses="${JOBS:-$((2 * $(nproc)))}" "$@"
part alone -m alone "$@"
exit "$status"
