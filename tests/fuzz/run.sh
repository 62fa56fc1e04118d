#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzzes what reads bytes of strangers: replays the corpora, then runs each target for a while.
#
#	tests/fuzz/run.sh [SECONDS] [TARGET...]
#
# SECONDS (20) for each TARGET (decode headers names question text options fuse); 0: the corpora alone.
# In corpus/ the files with a name of sense were written by hand (a number is a row of the fault
# matrix); found-* are fuzzing's own, each for a branch that no other takes.
# What is found stays in a folder that is told; so do new inputs, in FUZZ_KEEP=FOLDER if that is set.
set -eu

seconds=${1:-20}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- decode headers names question text options fuse
cd "$(dirname "$0")/../.."
build='build-fuzz'
found=$(mktemp -d "${TMPDIR:-/tmp}/fleetfs-fuzz.XXXXXX")
passed=0
failed=0

# Instrumented, with both sanitizers, and with their findings fatal.
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true -Dbuildtype=debugoptimized \
	-Db_sanitize=address,undefined -Db_lundef=false \
	-Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined' >"$found/setup" ||
	{ cat "$found/setup"; exit 1; }
programs=
for target; do
	programs="$programs tests/fuzz/fuzz_$target"
done
# shellcheck disable=SC2086 # one word for each
ninja -C $build $programs >"$found/build" || { cat "$found/build"; exit 1; }

max_len() {
	case $1 in
	decode) echo 8192 ;;
	fuse) echo 4096 ;;
	*) echo 1024 ;;
	esac
}

# The number after a word in a target's own statistics.
number() {
	sed -n "s/.*$1[: ]*\([0-9][0-9]*\).*/\1/p" "$2" | tail -n 1
}

one_target() {
	program=$build/tests/fuzz/fuzz_$1
	log=$found/$1.log
	corpus=tests/fuzz/corpus/$1
	grown=${FUZZ_KEEP:-$found}/$1

	mkdir -p "$grown"
	set -- -max_len="$(max_len "$1")" -timeout=10 -rss_limit_mb=512 \
		-artifact_prefix="$found/$1-" -print_final_stats=1
	ASAN_OPTIONS=detect_stack_use_after_return=1 "$program" "$@" -runs=0 "$corpus" \
		>"$log" 2>&1 || return 1
	[ "$seconds" -eq 0 ] || "$program" "$@" -max_total_time="$seconds" "$grown" "$corpus" \
		>"$log" 2>&1 || return 1
}

for target; do
	if one_target "$target"; then
		passed=$((passed + 1))
		findings=0
	else
		failed=$((failed + 1))
		findings=1
		grep -Ev '^#[0-9]+[[:space:]]+[A-Za-z]+ ' "$found/$target.log" | tail -n 60
	fi
	printf '%-8s %s executions, %s a second, %s edges, %s findings\n' "$target" \
		"$(number stat::number_of_executed_units "$found/$target.log")" \
		"$(number stat::average_exec_per_sec "$found/$target.log")" \
		"$(number cov "$found/$target.log")" "$findings"
done
if [ "$failed" -gt 0 ]; then
	echo "what was found is in $found"
else
	rm -rf "$found"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
