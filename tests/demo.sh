#!/bin/bash
# SPDX-License-Identifier: MIT
# Mounts a simulated fleet, runs example commands on it, and waits for Ctrl-C:
#
#	demo.sh BUILD [--once] [MOUNTPOINT]
#
# --once: exits after the examples. At exit everything is unmounted and stopped. The fleet changes only when
# this script makes it, so each run shows the same; it begins to change by itself after the examples.
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
"$build/tests/fleetfs-sim" --with-parent --agents 42 >"$directory/url" &
sim=$!
read -r url <"$directory/url" || { echo "demo: the simulator did not start" >&2 && exit 1; }

port=${url#*127.0.0.1:}
port=${port%%/*}
url+=/r # where a key that begins with sk- reads the API

echo "A simulated fleet of 42 agents is at $url; mounting it:"
printf '\n$ FLEETFS_TOKEN=sk-sim build/fleetfs -f -o name=demo,ttl=1 %s %s &\n' "$url" "$mountpoint"
FLEETFS_TOKEN=sk-sim "$build/fleetfs" -f -o name=demo,ttl=1 "$url" "$mountpoint" &
fleetfs=$!
until mountpoint -q "$mountpoint"; do
	kill -0 "$fleetfs" 2>/dev/null || { echo "demo: fleetfs did not mount" >&2 && exit 1; }
	sleep 0.05
done

# show COMMAND: prints a command as if typed at a prompt, and its output.
show() {
	printf '\n$ %s\n' "$1"
	(cd "$mountpoint" && COLUMNS=80 bash -c "$1" 2>&1) || true
}

# await COMMAND: runs it in the mount until it succeeds.
await() {
	for _ in {1..200}; do
		! (cd "$mountpoint" && bash -c "$1" >/dev/null 2>&1) || return 0
		sleep 0.1
	done
	echo "demo: not so within 20 s: $1" >&2
	exit 1
}

# control METHOD CALL [FILE]: changes the simulated fleet; the file is the body of the request.
control() {
	local file=${3:-/dev/null} status

	exec 3<>"/dev/tcp/127.0.0.1/$port"
	{
		printf '%s /_sim/%s HTTP/1.0\r\nContent-Length: %s\r\n\r\n' "$1" "$2" "$(wc -c <"$file")"
		cat "$file"
	} >&3
	read -r _ status _ <&3
	exec 3>&-
	[ "$status" = 200 ] || { echo "demo: the simulator answered $1 $2 with $status" >&2 && exit 1; }
}

best=where/status=idle/label=a100/sort=-vram_free/1
await 'cat fleet/events.log' # which begins now
agent=$(cat "$mountpoint/$best/id")
cat "$mountpoint/agents/$agent/agent.json" >"$directory/agent.json"
position=$(($(cut -f 1 "$mountpoint/fleet/agents.tsv" | grep -nx -e "$agent" | cut -d: -f1) - 2))

printf '\n$ cd %s\n' "$mountpoint"
show "ls -C"
show "ls -C where/status=idle/label=a100"
show "cat $best/id"
show "ls -C agents/$agent"
show "cat agents/$agent/gpus/0/name agents/$agent/gpus/0/vram_free"
show "grep gpu fleet/summary"

printf '\n# %s is shut down:\n' "$agent"
control DELETE "agents/$position"
await "! test -e agents/$agent"
show "cat agents/$agent/status"
show "cat $best/id"

printf '\n# It comes back, while others change their status:\n'
control POST "step?n=1"
control POST agents "$directory/agent.json"
await "grep -q joined fleet/events.log"
show "grep -wE 'agent|status' fleet/events.log"

printf '\n# The fleet as text, TSV, JSON, for Prometheus, and as a page for a browser:\n'
show "ls -C fleet"

if [ -n "$once" ]; then
	cat <<-END

		What next:
		  ./run demo                      the same fleet, changing, until Ctrl-C
		  less docs/usage.md              recipes for shells, monitoring and others
		  build/fleetfs --check URL       the connection to your own fleet
	END
	exit 0
fi

trap 'exit 0' INT TERM
control POST "churn?ms=1000"
cat <<END

The fleet changes every second. Ctrl-C here unmounts it and stops everything. In another terminal:

  tail -F $mountpoint/fleet/events.log
  xdg-open $mountpoint/fleet/fleet.html
  less $mountpoint/where/README
END
wait "$fleetfs" || true
fleetfs=''
echo "unmounted"
