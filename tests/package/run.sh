#!/bin/bash
# SPDX-License-Identifier: MIT
# Tries a package: run.sh FLEETFS.deb SIMULATOR. Boots a copy of this machine with its own systemd, of
# which nothing is left afterwards: / with a layer of memory above it. The network is this machine's,
# for apt and the simulator. As root.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
deb=$(readlink -f "$1")
sim=$(readlink -f "$2")

# All mounts are in here, and go with it.
[ -n "${FLEETFS_UNSHARED:-}" ] || FLEETFS_UNSHARED=1 exec unshare --mount "$0" "$@"

# Copies of the mounts of others would keep those alive after their end.
awk '/ - fuse/ { print $5 }' /proc/self/mountinfo | xargs -r -n 1 umount -l -c || true

folder=$(mktemp -d /tmp/fleetfs-package.XXXXXX)
trap 'kill "${sim_pid:-}" 2>/dev/null || true; umount -R -l "$folder"; rmdir "$folder"' EXIT
mount -t tmpfs -o mode=755 tmpfs "$folder"
mkdir "$folder"/{upper,work,root,shared}
mknod -m 666 "$folder/fuse" c 10 229 # as udev makes it, whatever this machine has
mkfifo "$folder/url"
"$sim" --with-parent >"$folder/url" &
sim_pid=$!
read -r url <"$folder/url"
mount -t overlay overlay "$folder/root" \
	-o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work"
rm -f "$folder/root/usr/sbin/policy-rc.d" # of a container: packages shall start and stop nothing
cp "$deb" "$here"/{test_package.py,../mount/documents.py,../../README.md,../../docs/operations.md} \
	"$folder/shared"
# The same package with a lower version, to upgrade from.
dpkg-deb -R "$deb" "$folder/before"
sed -i 's/^Version: /&0~/' "$folder/before/DEBIAN/control"
dpkg-deb -b "$folder/before" "$folder/shared/before.deb" >/dev/null
cat >"$folder/root/etc/systemd/system/fleetfs-test.service" <<-END
	[Unit]
	Requires=basic.target
	After=basic.target
	SuccessAction=exit
	FailureAction=exit

	[Service]
	Type=oneshot
	TimeoutStartSec=600
	StandardOutput=append:/shared/output
	StandardError=inherit
	WorkingDirectory=/shared
	Environment=FLEETFS_URL=$url FLEETFS_DEB=/shared/$(basename "$deb")
	Environment=FLEETFS_DEB_BEFORE=/shared/before.deb
	Environment=DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
	ExecStart=/usr/bin/python3 -B -m pytest -q --tb=short -p no:cacheprovider test_package.py \
		--junitxml=report.xml
END
keep=()
[ -d /run/systemd/system ] || keep=(--keep-unit) # there is no systemd here to ask for a scope
status=0
timeout --foreground -s KILL 900 systemd-nspawn --quiet --register=no "${keep[@]}" -D "$folder/root" \
	--bind="$folder/fuse:/dev/fuse" --bind="$folder/shared:/shared" --kill-signal=SIGRTMIN+4 --boot \
	systemd.unit=fleetfs-test.service systemd.mask=timers.target \
	</dev/null >"$folder/console" 2>&1 || status=$?
cat "$folder/shared/output" || cat "$folder/console"
[ -z "${3:-}" ] || cp "$folder/shared/report.xml" "$3"
exit "$status"
