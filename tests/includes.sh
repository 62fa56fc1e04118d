#!/bin/bash
# SPDX-License-Identifier: MIT
# Checks what each library of the project includes. A library is a directory (a room below); the table
# lists the other libraries that it may use. There are no include cycles. Tests include what they test, never
# the reverse.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
failed=0

# includes FILE...: prints FILE:NAME for each #include of one of our own headers or of a library.
includes() {
	grep -HE '^[[:space:]]*#[[:space:]]*include' "$@" |
		sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]*/:/; s/"([^"]*)".*/\1/; s/<([^>]*)>.*/<\1>/'
}

libraries='^<(curl/|cjson/|fuse|microhttpd|cmocka|zlib)'

# room DIRECTORY ROOMS [LIBRARIES]: extended regular expressions of what its files may include.
room() {
	local found
	found=$(includes "$1"/*.[ch] | awk -F: -v own="^$1/[^/]+$" -v rooms="^($2)/[^/]+$" \
		-v libraries="$libraries" -v allowed="^<(${3:-none})" '
		$2 ~ /^</ ? $2 !~ libraries || $2 ~ allowed : $2 ~ own || $2 ~ rooms { next }
		{ print $1 ": may not include " $2 }')
	if [ -n "$found" ]; then
		echo "$found"
		failed=1
	fi
}

model=api/model
api="$model|api/json|api/replay|api/http"

room api/model none
room api/json "$model" cjson/
room api/replay "$model|api/json"
room api/http "$model|api/json|api/replay" curl/
room cache "$model"
room fs/tree "cache|$model"
room fs/reports "fs/reports/html|fs/tree|cache|$model"
room fs/fuse "fs/reports|fs/tree|cache|$model" fuse
room fs/program "fs/fuse|fs/tree|cache|$api" fuse
room tests/sim none 'microhttpd|zlib'

# tsort reports each circle on stderr.
mapfile -t files < <(find api cache fs -name '*.[ch]')
circles=$(includes "${files[@]}" | grep -v ':<' | tr ':' ' ' | tsort 2>&1 >/dev/null) || true
if [ -n "$circles" ]; then
	echo "$circles"
	failed=1
fi

exit "$failed"
