#!/bin/bash
# SPDX-License-Identifier: MIT
# Includes go one way: fs → cache → the model; only fs/main.c and fs/intake.c know all of api. Libraries
# stay in their rooms: curl and cJSON in api, FUSE in fs. Tests include what they test, never the reverse.
set -euo pipefail
shopt -s extglob
cd "${1:-$(dirname "$0")/..}"

failed=0

# includes OPTION PATTERN FILE...: greps for #include lines. Fails if a file is missing, not if no line
# matches.
includes() {
	grep "$1" "^[[:space:]]*#[[:space:]]*include[[:space:]]*$2" "${@:3}" || [ $? -eq 1 ]
}

# may FILES ALLOWED: whatever these files include has to match.
may() {
	local files=$1 allowed=$2 found
	# shellcheck disable=SC2086 # FILES is a list of globs
	found=$(includes -HnoE '["<][^">]+' $files |
		sed -E 's/#[[:space:]]*include[[:space:]]*//' | { grep -vE ":[[:space:]]*($allowed)" || true; })
	if [ -n "$found" ]; then
		echo "$found" | sed 's/:[[:space:]]*/: may not include /2; s/$/"/'
		failed=1
	fi
}

model='"api/(agent|environment|failure|route|utf8)\.h'

# Which folder may include what of ours.
may 'api/*.[ch]' '"api/|<'
may 'api/agent.[ch] api/environment.[ch] api/failure.[ch] api/route.h api/utf8.[ch]' "$model|<"
may 'cache/*.[ch]' "\"cache/|$model|<"
may 'fs/*.h fs/!(main|intake).c' "\"fs/|\"html/page.h|\"cache/|$model|<"
may 'fs/main.c fs/intake.c' '"fs/|"cache/|"api/|<'
may 'tests/sim/*.[ch]' '"tests/sim/|<'

# Which library is known where.
outside() {
	local library=$1 found
	shift
	found=$(includes -lE "<($library)" "$@" | sed "s;\$;: may not include <$library>;")
	if [ -n "$found" ]; then
		echo "$found"
		failed=1
	fi
}
outside 'curl/' cache/*.[ch] fs/*.[ch]
outside 'cjson/' cache/*.[ch] fs/*.[ch]
outside 'fuse' api/*.[ch] cache/*.[ch]
outside 'microhttpd|cmocka|zlib' api/*.[ch] cache/*.[ch] fs/*.[ch]

# In api, one file each talks to a library; what it hands out is not of the library's types.
outside 'curl/' api/{agent,environment,failure,route,utf8,credential,decode,client}.h
outside 'cjson/' api/{agent,environment,failure,route,utf8,credential,decode,client}.h

exit "$failed"
