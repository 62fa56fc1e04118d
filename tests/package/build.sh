#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the Debian package in build-package/, of the files that git tracks, committed or not, or of all
# files of an unpacked tarball. The unit tests run as part of it. Then runs lintian on it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
package=build-package

version=$(dpkg-parsechangelog -S Version)
grep -q "^  version: '${version%-*}'," meson.build || {
	echo "debian/changelog has version ${version%-*}, meson.build another one" >&2
	exit 1
}
echo "Building in $package/, and testing it, in some minutes"
rm -rf "$package"
mkdir -p "$package/fleetfs"
if [ -e .git ]; then
	mapfile -d '' -t files < <(git ls-files -z)
else
	mapfile -d '' -t files < <(find . -path './build*' -prune -o ! -type d -print0)
fi
cp --parents -t "$package/fleetfs" "${files[@]}"
(cd "$package/fleetfs" && DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -us -uc -b) \
	>"$package/log" 2>&1 || {
	cat "$package/log"
	echo "the package cannot be built" >&2
	exit 1
}
ls "$package"/fleetfs_*.deb
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$package"/fleetfs_*.changes
