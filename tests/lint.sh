#!/bin/bash
# SPDX-License-Identifier: MIT
# Static checks: layout, warnings of gcc and clang as errors, clang-tidy, cppcheck, shellcheck, mandoc,
# pyflakes. Builds in build-lint-gcc/ and build-lint/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
passed=0 failed=0

# check NAME COMMAND...: shows the output only if the command fails.
check() {
	local name=$1 begun=$SECONDS output
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "$name: ok, $((SECONDS - begun)) s"
	else
		failed=$((failed + 1))
		echo "$name: FAILED"
		echo "$output"
	fi
}

# One file at a time: after another one, clang-tidy 14 reports each va_list as uninitialized.
check_tidy() {
	printf '%s\0' "${sources[@]}" |
		xargs -0 -P "$(nproc)" -n 1 clang-tidy -p build-lint --quiet 2>&1 |
		grep -v ' warnings\? .*generated\.$'
	return "${PIPESTATUS[1]}"
}

# Ignores what depends on the installed manuals, and the order of sections: EXAMPLES comes early.
check_manual() {
	local output

	# Not by the status of a pipeline: with pipefail, mandoc's own would hide what grep finds.
	output=$(mandoc -T lint docs/fleetfs.8 2>&1 |
		grep -vE 'outdated mandoc.db|referenced manual not found|conventional order: Sh ENVIRONMENT') || true
	echo "$output"
	[ -z "$output" ]
}

mapfile -t files < <(find api cache fs tests -name '*.[ch]' | sort)
mapfile -t sources < <(find api cache fs tests -name '*.c' | sort)
mapfile -t scripts < <(grep -rIlE '^#!/bin/(ba)?sh' run .ci contrib debian tests | sort)
# Versions lay out macros differently, and that of Debian 12 decides.
if [[ $(clang-format --version) = *' version 14.'* ]]; then
	check "clang-format" clang-format --dry-run -Werror "${files[@]}"
else
	echo "clang-format: not checked, version 14 decides"
fi
CC=gcc check "gcc" tests/build.sh build-lint-gcc -Dwerror=true -Dtests=enabled
CC=clang check "clang" tests/build.sh build-lint -Dwerror=true -Dtests=enabled -Dfuzz=true \
	-Dbuildtype=debugoptimized
check "clang-tidy" check_tidy
# normalCheckLevelMaxBranches says only that another level would check more. A test without memory crashes,
# which is enough. FLEETFS_VERSION is a macro of the command line, which cppcheck 2.17 also leaves out.
check "cppcheck" cppcheck --project=build-lint/compile_commands.json -j "$(nproc)" --quiet \
	--enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	--suppress=normalCheckLevelMaxBranches '--suppress=nullPointerOutOfMemory:*tests/*' \
	'--suppress=unknownMacro:*tests/unit/test_client.c'
check "shellcheck" shellcheck completions/*.bash "${scripts[@]}"
check "mandoc" check_manual
check "pyflakes" /usr/bin/python3 -B -m pyflakes docs/*.py fs/reports/html/*.py tests/*.py tests/*/*.py
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
