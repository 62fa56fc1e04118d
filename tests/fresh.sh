#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the commands of the README as a new user would, on a fresh Debian: a minimal system made by
# debootstrap, with nothing else installed, /dev/fuse of this machine, and a clone of this commit.
#
#	tests/fresh.sh SUITE [--user] [COMMAND...]
#
# SUITE: bookworm, trixie or sid. --user: as an ordinary user who may use sudo, instead of root.
# COMMAND: the default is `./run demo --once`, then `./run test`, each with all programs that tests
# use. As root. The mirror is that of this machine's apt. Nothing is left behind.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

die() {
	echo "fresh.sh: $*" >&2
	exit 1
}

# In a mount namespace of its own, so that all that is mounted ends with it.
if [ "${FRESH_INSIDE:-}" != 1 ]; then
	[ $# -gt 0 ] || die "name a suite: bookworm, trixie or sid"
	[ "$(id -u)" -eq 0 ] || die "needs root"
	command -v debootstrap >/dev/null || {
		apt-get -qq update
		apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
	}
	FRESH_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

suite=$1
shift
user=root
if [ "${1:-}" = --user ]; then
	user=ann
	shift
fi

# shellcheck disable=SC2016 # apt's own
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
	grep -v security | sort -u | head -n 1)
system=$(mktemp -d "/var/tmp/fleetfs-$suite.XXXXXX")
# shellcheck disable=SC2317 # called by the trap
leave() {
	umount -R "$system" 2>/dev/null || true
	rm -rf --one-file-system "$system"
}
trap leave EXIT
chmod 755 "$system" # it is a root
mount --bind "$system" "$system" # what is mounted below goes with it

echo "Making a Debian $suite from ${mirror:=http://deb.debian.org/debian}"
debootstrap --variant=minbase "$suite" "$system" "$mirror" >"$system.log" 2>&1 ||
	{ tail "$system.log"; exit 1; }
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
mount -t tmpfs -o mode=1777 tmpfs "$system/dev/shm"
cp /etc/resolv.conf "$system/etc/"
echo "127.0.0.1 localhost" >"$system/etc/hosts"
cp -r /etc/apt/apt.conf.d "$system/etc/apt/" 2>/dev/null || true

# inside COMMAND...: as root, in the new system.
inside() {
	chroot "$system" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" "$@"
}

home=/root
if [ "$user" != root ]; then
	home=/home/$user
	inside sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends sudo >/dev/null'
	inside useradd --create-home --shell /bin/bash "$user"
	echo "$user ALL=(ALL) NOPASSWD: ALL" >"$system/etc/sudoers.d/$user"
fi
git clone -q "$here" "$system$home/fleetfs"
inside chown -R "$user:" "$home/fleetfs"

[ $# -gt 0 ] || set -- sh -c './run demo --once && ./run test'
inside setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
	env FLEETFS_NO_SKIP=1 TERM="${TERM:-dumb}" sh -c 'cd ~/fleetfs && exec "$@"' sh "$@"
