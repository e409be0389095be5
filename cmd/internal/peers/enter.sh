#!/bin/sh
# enter.sh DIR TREE COMMAND...
# Runs COMMAND on behalf of package peers, as the first process of new mount and process namespaces.
# With a TREE (an unpacked package) it sees TREE/usr over /usr, DIR/ns/etc over /etc, and DIR/ns/{lib,spool,run} in
# place of /var/lib, /var/spool and /run: programs with built-in paths, users and set-uid bits run unchanged.
set -eu
dir=$1 tree=$2
shift 2
mount --make-rprivate /
if [ -n "$tree" ]; then
	mount -t overlay -o "lowerdir=$tree/usr:/usr" overlay /usr
	mount -t overlay -o "lowerdir=$dir/ns/etc:/etc" overlay /etc
	mount --bind "$dir/ns/lib" /var/lib
	mount --bind "$dir/ns/spool" /var/spool
	mount --bind "$dir/ns/run" /run
fi
umask 022
"$@" </dev/null &
child=$!
trap 'kill "$child" 2>/dev/null || true' TERM
# A wait that the trap interrupts is waited again; the second one returns at once if there is nothing left to wait for.
wait "$child" || wait "$child" || true
