# What jail.job makes and looks at jails with. The payload is jailed.c, the jails are in base.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox

UID_=1234 GID_=5678

# jailer ID [OPTION...]: runs it to its end, or to the payload's; output in ID.out.
jailer() {
	local id=$1
	shift
	timeout 30 ./husk-jailer --id "$id" --exec-file ./jailed --uid $UID_ --gid $GID_ \
		--chroot-base-dir base "$@" </dev/null >"$id.out" 2>&1
}

jailer_to_pipe() {
	local id=$1
	shift
	timeout 30 ./husk-jailer --id "$id" --exec-file ./jailed --uid 1 --gid 1 --chroot-base-dir base "$@" 2>&1
}

# jail ID [OPTION...]: starts it and waits for the payload's report; $root and $pid.
jail() {
	root=base/jailed/$1/root
	jailer "$@" &
	wait_for "$root/report" "$1"
}

wait_for_file() {
	local i=0
	until [ -s "$1" ]; do
		i=$((i + 1))
		[ $i -lt 600 ] || { why="no report: $(cat "$2.out")"; return 1; }
		sleep 0.05
	done
}
wait_for() { wait_for_file "$@" && pid=$(cat "${1%/report}/jailed.pid"); }

status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }

# is WHAT GOT WANT
is() {
	[ "$2" = "$3" ] && return
	why="$1: '$2', not '$3'"
	return 1
}

# refuses ID WORDS [OPTION...]: status 1, one line with the words, and no payload ran.
refuses() {
	local id=$1 words=$2 got=0
	shift 2
	jailer "$id" "$@" || got=$?
	is "status" $got 1 && is "lines" "$(wc -l <"$id.out")" 1 && expect "$id.out" "$words" || return 1
	why="the payload ran"
	[ ! -e "base/jailed/$id/root/report" ]
}

standard_fds() { for fd in 0 1 2; do readlink "/proc/$pid/fd/$fd"; done | tr '\n' ' '; }

end() { kill -9 "$pid" 2>/dev/null; }

# bind_kvm: a /dev/kvm that everyone may open.
bind_kvm() {
	[ -e kvm ] || mknod kvm c 10 232
	chmod 666 kvm
	mount --bind kvm /dev/kvm
}
# mounts_are_bound: nothing but a root and the host's devices is mounted in the jail.
mounts_are_bound() {
	is mounts "$(cut -d' ' -f5 "/proc/$pid/mountinfo" | sort | tr '\n' ' ' | sed 's@/dev/net/tun @@; s@/dev/userfaultfd @@')" "/ /dev/kvm /dev/urandom "
}
