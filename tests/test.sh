#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the tests on builds of its own, and prints `N passed, N failed` in the end:
#
#	tests/test.sh             release and sanitizers: unit tests, 20 s of fuzzing each, mount tests
#	tests/test.sh PATTERN     only the mount tests that match (pytest -k)
#	tests/test.sh --full      also ThreadSanitizer, the mount tests under valgrind, and the package
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
python=(/usr/bin/python3 -B)
results=() # the reports, for count.py
fuzz='' fuzz_report=build-asan/fuzz-tests.txt

compile() {
	echo "Building in $1/"
	tests/build.sh "$1" -Dtests=enabled "${@:2}"
}

# unit BUILD SETUP OPTION...: see add_test_setup() in tests/meson.build.
unit() {
	local report=$1/meson-logs/testlog-$2.json
	rm -f "$report"
	results+=("$report")
	printf '\nUnit tests, %s/\n' "$1"
	meson test -C "$1" --no-rebuild --setup "$2" "${@:3}" || true
}

# mounts BUILD PART OPTION...: see tests/mount/run.sh.
mounts() {
	local part=$2
	rm -f "$1/mount-$part.xml"
	results+=("$1/mount-$part.xml")
	printf '\nMount tests that run %s, %s/\n' "$part" "$1"
	tests/mount/run.sh "$1" "--only=$part" "${@:3}" || true
}

# The fuzzers run beside the mount tests, which mostly wait, and with lower priority.
fuzz_begin() {
	rm -f "$fuzz_report"
	setsid nice -n 19 tests/fuzz/run.sh 20 >"$fuzz_report" 2>&1 &
	fuzz=$!
	trap 'kill -- -"$fuzz" 2>/dev/null || true' EXIT
}

fuzz_end() {
	printf '\nFuzzing\n'
	wait "$fuzz" || true
	trap - EXIT
	cat "$fuzz_report"
	results+=("$fuzz_report")
}

full() {
	local valgrind='valgrind --quiet --error-exitcode=99 --leak-check=full'

	valgrind+=" --errors-for-leak-kinds=definite,possible --num-callers=30"
	valgrind+=" --suppressions='$PWD/tests/valgrind.supp'"
	# shellcheck disable=SC2016 # each test sets it
	valgrind+=' --log-file="${REPORTS:-/tmp}/sanitizer-%p"'
	echo
	compile build-tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
	compile build-valgrind -Dbuildtype=debugoptimized
	unit build-tsan sanitizers
	# These tests wait for a processor only, so they run one after the other.
	JOBS=0 mounts build-tsan together
	mounts build-tsan alone -k 'not idle_mount' # ThreadSanitizer has a thread that wakes up
	JOBS=0 mounts build-valgrind together --wrapper="$valgrind"
	mounts build-valgrind alone --wrapper="$valgrind"
	printf '\nPackage tests\n'
	tests/package/build.sh
	if [ "$(id -u)" -eq 0 ]; then
		results+=(build-package/tests.xml)
		tests/package/run.sh build-package/fleetfs_*.deb build/tests/fleetfs-sim \
			build-package/tests.xml || true
	else
		echo "Not run: they need root"
	fi
}

trap 'exit 130' INT # pytest does not die of it
compile build
compile build-asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
case ${1:-} in
'' | --full)
	unit build default
	unit build-asan sanitizers
	fuzz_begin
	mounts build together
	mounts build-asan together
	fuzz_end
	mounts build alone
	mounts build-asan alone
	[ -z "${1:-}" ] || full
	;;
*)
	for part in together alone; do
		mounts build "$part" -k "$1"
		mounts build-asan "$part" -k "$1"
	done
	;;
esac
echo
"${python[@]}" tests/count.py "${results[@]}"
