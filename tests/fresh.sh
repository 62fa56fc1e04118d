#!/bin/bash
# SPDX-License-Identifier: MIT
# Tries the two commands of the README as a new user would: on a Debian 12 with nothing installed,
# made for that by debootstrap, with /dev/fuse from this machine and a fresh clone of this commit.
#
#	tests/fresh.sh [COMMAND...]		default: ./run demo --once, then ./run test
#
# As root. Takes the mirror and apt's settings from this machine; leaves nothing behind.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

# In a mount namespace of its own, so that all that is mounted ends with it.
if [ "${FRESH_INSIDE:-}" != 1 ]; then
	[ "$(id -u)" -eq 0 ] || { echo "fresh.sh: as root, please" >&2; exit 1; }
	command -v debootstrap >/dev/null || {
		apt-get -qq update
		apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
	}
	FRESH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

# shellcheck disable=SC2016 # apt's own
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Origin: Debian' |
	sort -u | head -n 1)
system=$(mktemp -d /var/tmp/fleetfs-fresh.XXXXXX)
# shellcheck disable=SC2317 # called by the trap
leave() {
	umount -R "$system" 2>/dev/null || true
	rm -rf --one-file-system "$system"
}
trap leave EXIT
chmod 755 "$system" # it is a root
mount --bind "$system" "$system" # what is mounted below goes with it

echo "Making a Debian 12 of ${mirror:-deb.debian.org}"
debootstrap --variant=minbase bookworm "$system" "${mirror:-http://deb.debian.org/debian}" \
	>"$system.log" 2>&1 || { tail "$system.log"; exit 1; }
rm -f "$system.log"
mount -t proc proc "$system/proc"
mount -t sysfs sysfs "$system/sys"
mount -t tmpfs tmpfs "$system/run"
for device in fuse null zero full random urandom tty; do
	[ -e "$system/dev/$device" ] || touch "$system/dev/$device"
	mount --bind "/dev/$device" "$system/dev/$device"
done
mkdir -p "$system/dev/pts" "$system/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$system/dev/pts"
ln -sf pts/ptmx "$system/dev/ptmx"
mount -t tmpfs tmpfs "$system/dev/shm"
cp /etc/resolv.conf "$system/etc/"
echo "127.0.0.1 localhost" >"$system/etc/hosts"
cp -r /etc/apt/apt.conf.d "$system/etc/apt/" 2>/dev/null || true
git clone -q "$here" "$system/root/fleetfs"

[ $# -gt 0 ] || set -- sh -c './run demo --once && ./run test'
chroot "$system" env -i FLEETFS_NO_SKIP=1 HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
	sh -c 'cd /root/fleetfs && exec "$@"' sh "$@"
