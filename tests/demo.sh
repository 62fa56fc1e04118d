#!/bin/bash
# SPDX-License-Identifier: MIT
# Mounts a simulated fleet, runs example commands on it, and waits for Ctrl-C:
#
#	demo.sh BUILD [--once] [MOUNTPOINT]
#
# --once: exits after the examples. At exit everything is unmounted and stopped.
set -euo pipefail
build=$(realpath "$1")
shift
once='' mountpoint=''
for word; do
	case $word in
	--once) once=1 ;;
	-*) echo "demo: unknown option $word; usage: demo [--once] [MOUNTPOINT]" >&2 && exit 2 ;;
	*) mountpoint=$(realpath -m "$word") ;;
	esac
done

directory=$(mktemp -d /tmp/fleetfs-demo.XXXXXX)
created='' sim='' fleetfs=''
stop() {
	trap - EXIT
	trap '' INT TERM # a second Ctrl-C must not interrupt the unmount
	for pid in $fleetfs $sim; do
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	[ -z "$created" ] || rmdir "$created" || true
	rm -rf --one-file-system "$directory"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mountpoint=${mountpoint:-$directory/fleet}
if [ ! -d "$mountpoint" ]; then
	mkdir "$mountpoint"
	created=$mountpoint
fi
mkfifo "$directory/url"
"$build/tests/fleetfs-sim" --with-parent --agents 42 --churn 1000 >"$directory/url" &
sim=$!
read -r url <"$directory/url" || { echo "demo: the simulator did not start" >&2 && exit 1; }

echo "A simulated fleet of 42 agents is at $url; mounting it:"
printf '\n$ FLEETFS_TOKEN=sk-sim build/fleetfs -f -o ttl=2 %s %s &\n' "$url" "$mountpoint"
FLEETFS_TOKEN=sk-sim "$build/fleetfs" -f -o ttl=2 "$url" "$mountpoint" &
fleetfs=$!
until mountpoint -q "$mountpoint"; do
	kill -0 "$fleetfs" 2>/dev/null || { echo "demo: fleetfs did not mount" >&2 && exit 1; }
	sleep 0.05
done

# show COMMAND: prints a command as if typed at a prompt, and its output.
show() {
	printf '\n$ %s\n' "$1"
	(cd "$mountpoint" && COLUMNS=80 bash -c "$1") || true
}

printf '\n$ cd %s\n' "$mountpoint"
agent=$(cd "$mountpoint/agents" && grep -l busy ./*/status | cut -d/ -f2 | sed -n 1p)
show "ls -AC"
show "ls -C agents/$agent"
show "cat agents/$agent/status agents/$agent/gpus/0/name"
show "ls by-gpu"
show "ls by-status/idle | head -3"
show "find -L by-status/idle -name vram_free | xargs grep . | sort -t: -rnk2 | head -3"
show "head -n 8 fleet/summary"
show "cut -f 1,2,6,7,14 fleet/agents.tsv | head -4 | column -t"
show "cat .fleetfs/health"
[ -z "$once" ] || exit 0

trap 'exit 0' INT TERM
cat <<END

The fleet changes every second. From another terminal:

  cd $mountpoint
  watch -n 1 'cat agents/*/status | sort | uniq -c'
  find agents -name status -mmin -1
  grep -r NVIDIA agents | head

Ctrl-C here unmounts it and stops everything.
END
wait "$fleetfs" || true
fleetfs=''
echo "unmounted"
