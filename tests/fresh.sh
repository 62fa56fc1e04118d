#!/bin/bash
# SPDX-License-Identifier: MIT
# The check before a release: demo, tests, lint, package and tarball on a fresh Debian, which is a minimal
# system made by debootstrap, with nothing else installed, and a clone of this commit.
#
#	tests/fresh.sh SUITE [--user] [--record] [COMMAND...]
#
# SUITE: bookworm, trixie or sid, which has only the demo and the tests. --user: as an ordinary user who
# may use sudo, instead of root. --record: writes the result into docs/platforms.md, also if it has
# failures. COMMAND: runs this one instead. As root. The mirror is that of this machine's apt. Nothing is
# left behind.
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
user=root record=''
while :; do
	case ${1:-} in
	--user) user=ann ;;
	--record) record=1 ;;
	*) break ;;
	esac
	shift
done

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
mount -t cgroup2 cgroup2 "$system/sys/fs/cgroup" || true # which the test of the package needs
mount -t tmpfs tmpfs "$system/run"
mount -t tmpfs -o dev,mode=755 dev "$system/dev"
while read -r device major minor; do
	mknod -m 666 "$system/dev/$device" c "$major" "$minor"
done <<'END'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
fuse 10 229
END
mkdir "$system/dev/pts" "$system/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$system/dev/pts"
ln -s pts/ptmx "$system/dev/ptmx"
ln -s /proc/self/fd "$system/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$system/dev/shm"
cp /etc/resolv.conf "$system/etc/"
echo "127.0.0.1 localhost $(uname -n)" >"$system/etc/hosts" # sudo looks up the name of the machine
# How the mirror is reached. Other settings may belong to packages that are installed later.
apt-config dump | grep -E '^Acquire::(https?|Check-Valid-Until)\b' >"$system/etc/apt/apt.conf.d/00machine" || true

# inside COMMAND...: as root, in the new system.
inside() {
	chroot "$system" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" "$@"
}

home=/root
if [ "$user" != root ]; then
	home=/home/$user
	inside sh -c 'apt-get -qq update
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends sudo >/dev/null'
	inside useradd --create-home --shell /bin/bash "$user"
	echo "$user ALL=(ALL) NOPASSWD: ALL" >"$system/etc/sudoers.d/$user"
fi
git clone -q "$here" "$system$home/fleetfs"
inside chown -R "$user:" "$home/fleetfs"

# as_user COMMAND...: in the clone.
as_user() {
	inside setpriv --reuid "$user" --regid "$user" --init-groups --reset-env \
		env FLEETFS_NO_SKIP=1 TERM="${TERM:-dumb}" sh -c 'cd ~/fleetfs && exec "$@"' sh "$@"
}

if [ $# -gt 0 ]; then
	as_user "$@"
	exit
fi

status=0
# count COMMAND...: prints the sum that a command has as its last line. FAILED: it has none.
count() {
	local line
	line=$(as_user "$@" 2>/dev/null | tee >(cat >&2) | tail -n 1) || status=1
	case $line in
	*' passed, 0 failed') echo "${line%% *}" ;;
	*' passed, '*' failed') echo "**$line**" ;;
	*) echo '**FAILED**' ;;
	esac
}

echo "Debian $suite, as $user: demo"
demo=ok
as_user ./run demo --once || demo='**FAILED**' status=1
echo "Debian $suite, as $user: test"
as_user ./run test || status=1
unit=$(count sh -c 'python3 -B tests/count.py build*/meson-logs/testlog-*.json')
mount=$(count sh -c 'python3 -B tests/count.py build*/mount-*.xml')
lint=- package=- tarball=-
if [ "$suite" != sid ]; then
	echo "Debian $suite, as $user: lint"
	lint=$(count ./run lint)
	echo "Debian $suite, as $user: package"
	test=--test
	[ "$user" = root ] || test='' # it boots a system
	package=ok
	# shellcheck disable=SC2086 # no word if empty
	as_user ./run package $test || package='**FAILED**' status=1
	echo "Debian $suite, as $user: tarball"
	tarball=ok
	as_user sh -euc 'meson dist -C build --no-tests
		mkdir ../tarball
		tar -x -f build/meson-dist/*.tar.xz -C ../tarball --strip-components=1
		cd ../tarball
		meson setup build
		meson test -C build
		./run package' || tarball='**FAILED**' status=1
fi

# shellcheck disable=SC2016 # expanded there
versions=$(as_user sh -c 'echo "gcc $(gcc -dumpfullversion), libfuse $(pkg-config --modversion fuse3)," \
	"curl $(pkg-config --modversion libcurl), Python $(python3 -V | cut -d" " -f2)"')
[ "$user" = root ] || user=user
row="| Debian $(cat "$system/etc/debian_version"), $suite, $user |"
row+=" $(date -u +%F) | $versions | $demo | $unit | $mount | $lint | $package | $tarball |"
echo "$row"
if [ -n "$record" ]; then
	# The previous row, and the paragraph with a note on it ("trixie, root: ...").
	sed -i -e "/^| Debian [^|]*, $suite, $user |/d" -e "/^$suite, $user: /,/^\$/d" "$here/docs/platforms.md"
	echo "$row" >>"$here/docs/platforms.md"
fi
exit "$status"
