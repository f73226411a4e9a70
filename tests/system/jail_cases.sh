# husk-jailer from outside: what it leaves on the disk, what the payload is like in /proc,
# and what it refuses. Run by tests/system/jail and jail.job, by busybox's sh, as root in a
# mount namespace.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox
. ./guest.sh

UID_=1234 GID_=5678
mkdir base netns
mount -t tmpfs -o mode=755 base base
mount --make-shared base

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

wait_for() {
	local i=0
	until [ -s "$1" ]; do
		i=$((i + 1))
		[ $i -lt 100 ] || { why="no report: $(cat "$2.out")"; return 1; }
		sleep 0.05
	done
	pid=$(cat "${1%/report}/jailed.pid")
}

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

end() { kill -9 "$pid" 2>/dev/null; }

case_everything_in_the_jail_has_its_mode_and_owner() {
	umask 077
	jail layout || { umask 022; return 1; }
	umask 022
	is tree "$(cd base && stat -c '%n %a %u:%g %F' jailed jailed/layout jailed/layout/root | tr '\n' ',')" \
		"jailed 755 0:0 directory,jailed/layout 755 0:0 directory,jailed/layout/root 700 1234:5678 directory," &&
		is root "$(cd $root && stat -c '%n %a %u:%g %F' dev dev/net run jailed jailed.pid | tr '\n' ',')" \
			"dev 700 1234:5678 directory,dev/net 700 1234:5678 directory,run 700 1234:5678 directory,jailed 755 1234:5678 regular file,jailed.pid 644 0:0 regular file," &&
		is listing "$(cd $root && echo *)" "dev jailed jailed.pid report run" && cmp jailed $root/jailed
}
case_device_nodes_have_their_numbers() {
	local want='dev/kvm 600 1234:5678 a:e8,dev/net/tun 600 1234:5678 a:c8,dev/urandom 600 1234:5678 1:9,' minor
	is nodes "$(cd $root && stat -c '%n %a %u:%g %t:%T' dev/kvm dev/net/tun dev/urandom | tr '\n' ',')" "$want" || return 1
	minor=$(sed -n 's/^ *\([0-9]*\) userfaultfd$/\1/p' /proc/misc)
	if [ -n "$minor" ]; then
		is userfaultfd "$(stat -c '%a %u:%g %t:%T' $root/dev/userfaultfd)" "600 1234:5678 a:$(printf %x "$minor")"
	else
		is "nodes in /dev" "$(ls $root/dev | tr '\n' ' ')" "kvm net urandom "
	fi
}
case_payload_finds_no_way_to_gain_anything() {
	why=$(sed '/^arg/d; /^umask/d' $root/report | grep -v ': ok$')
	[ -z "$why" ] && is lines "$(grep -c ': ok$' $root/report)" 14
}
case_capabilities_are_empty_and_stay_so() {
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do is $set "$(status $set)" 0000000000000000 || return 1; done
	is no_new_privs "$(status NoNewPrivs)" 1 && is groups "$(status Groups | tr -d ' ')" "" &&
		is uids "$(status Uid | tr '\t' ' ')" "1234 1234 1234 1234" && is gids "$(status Gid | tr '\t' ' ')" "5678 5678 5678 5678"
}
case_nothing_of_the_host_is_mounted() {
	is mounts "$(cut -d' ' -f5 "/proc/$pid/mountinfo" | tr '\n' ' ')" "/ "
}
case_environment_is_empty_and_descriptors_are_closed() {
	is environ "$(wc -c <"/proc/$pid/environ")" 0 && is fds "$(ls "/proc/$pid/fd" | tr '\n' ' ')" "0 1 2 "
}
case_umask_is_the_callers() { expect $root/report "umask 77"; }
case_pid_file_has_the_pid_and_no_newline() {
	cmp "/proc/$pid/exe" jailed && is bytes "$(wc -c <$root/jailed.pid)" ${#pid}
}
case_monitors_arguments_are_as_the_contract_says() {
	is args "$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's/[0-9][0-9]*/N/g')" \
		"/jailed --id layout --start-time-us N --start-time-cpu-us N --parent-cpu-time-us N " || return 1
	end
	jail args -- --no-seccomp --api-sock "a  b" -- --id x || return 1
	is extra "$(sed -n 's/^arg \([0-9]*\) /\1 /p' $root/report | sed 1,9d | tr '\n' ',')" \
		"9 --no-seccomp,10 --api-sock,11 a  b,12 --,13 --id,14 x,"
}
case_times_are_of_the_clocks_they_say() {
	local up cpu parent start
	up=$(sed 's/\.//; s/ .*/0000/' /proc/uptime)
	set -- $(tr '\0' ' ' <"/proc/$pid/cmdline")
	start=$5 cpu=$7 parent=$9
	end
	why="start $start, now $up, cpu $cpu, parent $parent"
	[ "$start" -le $((up + 10000)) ] && [ "$start" -gt $((up - 60000000)) ] && [ "$cpu" -gt 0 ] && [ "$parent" -eq 0 ]
}
case_new_pid_ns_is_entered_and_the_jailer_leaves() {
	root=base/jailed/pidns/root
	jailer pidns --new-pid-ns || { why="status $?: $(cat pidns.out)"; return 1; }
	wait_for $root/report pidns && is NSpid "$(status NSpid | tr '\t' ' ')" "$pid 1" && expect $root/report "pid 1" &&
		is bytes "$(wc -c <$root/jailed.pid)" ${#pid} || return 1
	set -- $(tr '\0' ' ' <"/proc/$pid/cmdline")
	end
	why="parent's CPU time $9"
	[ "$9" -gt 0 ]
}
standard_fds() { for fd in 0 1 2; do readlink "/proc/$pid/fd/$fd"; done | tr '\n' ' '; }
case_daemonized_it_has_its_own_session_and_no_terminal() {
	root=base/jailed/daemon/root
	jailer daemon --daemonize || { why="status $?: $(cat daemon.out)"; return 1; }
	wait_for $root/report daemon || return 1
	is "0 to 2" "$(standard_fds)" "/dev/null /dev/null /dev/null " || return 1
	# shellcheck disable=SC2046
	set -- $(sed 's/.*) //' "/proc/$pid/stat") # state ppid pgrp session
	why="pid $pid, group $3, session $4, ours $(sed 's/.*) //' /proc/$$/stat)"
	[ "$4" != "$pid" ] && [ "$4" = "$3" ] && [ ! -e "/proc/$4" ] && [ "$4" != "$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f4)" ] &&
		is fds "$(ls "/proc/$pid/fd" | tr '\n' ' ')" "0 1 2 "
	end
}
case_daemonized_in_a_pid_ns() {
	root=base/jailed/both/root
	jailer both --daemonize --new-pid-ns || { why="status $?: $(cat both.out)"; return 1; }
	wait_for $root/report both && is NSpid "$(status NSpid | tr '\t' ' ')" "$pid 1" &&
		is "0 to 2" "$(standard_fds)" "/dev/null /dev/null /dev/null " && end
}
case_failure_behind_the_daemon_is_told() {
	mkdir -p base/jailed/behind/root base/jailed/nspid/root
	touch base/jailed/behind/root/jailed.pid base/jailed/nspid/root/jailed.pid
	refuses behind "pid file 'jailed.pid': File exists" --daemonize && refuses nspid "pid file 'jailed.pid': File exists" --daemonize --new-pid-ns
}
case_monitor_that_cannot_run_is_told() {
	cp jailed plain
	chmod 644 plain
	timeout 30 ./husk-jailer --id x --exec-file plain --uid 1 --gid 1 --chroot-base-dir base --daemonize --new-pid-ns >x.out 2>&1
	is status $? 1 && expect x.out "cannot run '/plain' in the jail: Permission denied"
}
case_jail_is_used_once() {
	jail once || return 1
	end
	rm $root/report
	refuses once "/dev/net/tun in the jail: File exists"
}
case_files_prepared_before_stay() {
	mkdir -p base/jailed/prep/root/run/data base/jailed/prep/root/mnt
	echo kernel >base/jailed/prep/root/vmlinux
	echo old >base/jailed/prep/root/jailed
	mount -t tmpfs prep base/jailed/prep/root/mnt
	jail prep || return 1
	is "mounts" "$(cut -d' ' -f5 "/proc/$pid/mountinfo" | tr '\n' ' ')" "/ /mnt " && cmp jailed $root/jailed && [ -e $root/vmlinux ] &&
		[ -d $root/run/data ]
}
case_mounts_of_the_host_come_in_later() {
	mkdir $root/late
	mount -t tmpfs late $root/late
	why="late is not mounted inside"
	grep -q ' /late ' "/proc/$pid/mountinfo" && end
}

# What may lie in wait where the jailer writes.
trap_at() { # ID PATH: makes the directories up to it
	local path=base/jailed/$1/root/$2
	mkdir -p "$(dirname "$path")"
	echo "$path"
}
mkdir victim
echo precious >victim/file
chmod 640 victim/file
victim_is_untouched() {
	is victim "$(stat -c '%a %u:%g' victim victim/file | tr '\n' ' ')$(ls victim)$(cat victim/file)" "755 0:0 640 0:0 fileprecious"
}
case_link_in_place_of_the_monitor_is_refused() {
	ln -s "$PWD/victim/file" "$(trap_at l1 jailed)"
	refuses l1 "'jailed' in the jail is a symbolic link" && victim_is_untouched
}
case_dangling_link_in_place_of_the_monitor_is_refused() {
	ln -s "$PWD/victim/new" "$(trap_at l2 jailed)"
	refuses l2 "'jailed' in the jail is a symbolic link" && victim_is_untouched
}
case_hard_link_in_place_of_the_monitor_is_refused() {
	cp victim/file base/file
	ln base/file "$(trap_at l3 jailed)"
	refuses l3 "'jailed' in the jail has another link" && is file "$(cat base/file)" precious
}
case_fifo_and_directory_in_place_of_the_monitor_are_refused() {
	mkfifo "$(trap_at l4 jailed)"
	mkdir "$(trap_at l5 jailed)"
	refuses l4 "'jailed' in the jail" && refuses l5 "'jailed' in the jail"
}
case_monitor_that_is_its_own_copy_is_refused() {
	cp jailed "$(trap_at l6 jailed)"
	timeout 30 ./husk-jailer --id l6 --exec-file base/jailed/l6/root/jailed --uid 1 --gid 1 --chroot-base-dir base >l6.out 2>&1
	is status $? 1 && expect l6.out "the executable itself" && cmp jailed base/jailed/l6/root/jailed
}
case_links_in_place_of_directories_are_refused() {
	for d in dev run dev/net; do
		ln -s "$PWD/victim" "$(trap_at "d${d#*/}" $d)"
		refuses "d${d#*/}" "exists and is no directory" && victim_is_untouched || return 1
	done
}
case_links_on_the_way_to_the_jail_are_refused() {
	mkdir base/jailed/w1
	ln -s "$PWD/victim" base/jailed/w1/root
	ln -s "$PWD/victim" base/jailed/w2
	refuses w1 "'root' exists and is no directory" && refuses w2 "'w2' exists and is no directory" && victim_is_untouched || return 1
	mkdir base2
	ln -s "$PWD/victim" base2/jailed
	refuses w3 "given twice" --chroot-base-dir base2 || return 1
	timeout 30 ./husk-jailer --id w3 --exec-file ./jailed --uid 1 --gid 1 --chroot-base-dir base2 >w3.out 2>&1
	is status $? 1 && expect w3.out "'jailed' exists and is no directory" && victim_is_untouched
}
case_links_in_place_of_devices_are_refused() {
	ln -s "$PWD/victim/file" "$(trap_at n1 dev/kvm)"
	refuses n1 "/dev/kvm in the jail: File exists" && victim_is_untouched || return 1
	ln -s "$PWD/victim/file" "$(trap_at n2 dev/net/tun)"
	refuses n2 "/dev/net/tun in the jail: File exists" && victim_is_untouched
}
case_without_urandom_it_only_warns() {
	touch "$(trap_at n3 dev/urandom)"
	jail n3 || return 1
	end
	expect n3.out "warning: cannot make /dev/urandom"
}
case_link_in_place_of_the_pid_file_is_refused() {
	ln -s "$PWD/victim/new" "$(trap_at p1 jailed.pid)"
	refuses p1 "pid file 'jailed.pid': File exists" && victim_is_untouched
}
case_swapping_directory_leads_nowhere() {
	local made=0 refused=0
	mkdir -p base/jailed/swap/root base/other
	exec 8<base/jailed/swap/root
	ln -s "$PWD/victim" base/other/root
	./jailed swap base/jailed/swap/root base/other/root 8<&- &
	swapper=$!
	for i in $(seq 100); do
		if jailer swap --daemonize; then
			made=$((made + 1))
			pid=$(cat /proc/self/fd/8/jailed.pid) && end
		else
			refused=$((refused + 1))
		fi
		# what is at the path may be the link: the directory itself is emptied
		rm -rf /proc/self/fd/8/jailed* /proc/self/fd/8/dev /proc/self/fd/8/run /proc/self/fd/8/report
		victim_is_untouched || break
	done
	kill $swapper
	wait $swapper 2>/dev/null
	exec 8<&-
	victim_is_untouched || return 1
	why="$made made, $refused refused"
	[ $made -gt 0 ] && [ $refused -gt 0 ]
}
case_links_in_arguments_lead_to_the_real_names() {
	ln -s jailed alias
	ln -s base basealias
	timeout 30 ./husk-jailer --id alias --exec-file alias --uid 1 --gid 1 --chroot-base-dir basealias/../basealias --daemonize >alias.out 2>&1 || {
		why="$(cat alias.out)"; return 1; }
	wait_for base/jailed/alias/root/report alias && end
}

# says STATUS WORDS OPTION...
says() {
	local want=$1 words=$2 got=0
	shift 2
	timeout 30 ./husk-jailer "$@" </dev/null >says.out 2>&1 || got=$?
	is "status of $*" $got "$want" && expect says.out "$words"
}
case_version_and_help() {
	says 0 "Jailer v1.16.0" --version --bad && says 0 "--resource-limit" --bad --version -h
}
case_bad_arguments_are_refused() {
	local ok="--id a --exec-file ./jailed --uid 1 --gid 1 --chroot-base-dir base"
	# shellcheck disable=SC2086
	says 1 "'--id' is required" --exec-file ./jailed --uid 1 --gid 1 &&
		says 1 "id '..'" --id .. --exec-file ./jailed --uid 1 --gid 1 &&
		says 1 "'./none'" --id a --exec-file ./none --uid 1 --gid 1 &&
		says 1 "not a regular file" --id a --exec-file victim --uid 1 --gid 1 &&
		says 1 "not a regular file" --id a --exec-file /dev/null --uid 1 --gid 1 &&
		says 1 "'none': No such" --id a --exec-file ./jailed --uid 1 --gid 1 --chroot-base-dir none &&
		says 1 "Not a directory" --id a --exec-file ./jailed --uid 1 --gid 1 --chroot-base-dir jailed &&
		says 1 "not below" --id a --exec-file ./jailed --uid 4294967295 --gid 1 &&
		says 1 "unknown argument" $ok --seccomp && says 1 "given twice" $ok --daemonize --daemonize &&
		says 1 "parent cgroup '../x'" $ok --parent-cgroup ../x && says 1 "namespace 'none'" $ok --netns none &&
		says 1 "join the network namespace '/dev/null'" $ok --netns /dev/null &&
		says 1 "keep descriptor 9" $ok --keep-fd 9 && [ ! -e base/jailed/a/root/report ]
}

case_limits_are_set() {
	jail lim --resource-limit fsize=1048576 --resource-limit no-file=99 --resource-limit no-file=100 || return 1
	why=$(cat "/proc/$pid/limits")
	grep -qE '^Max file size +1048576 +1048576 ' "/proc/$pid/limits" && grep -qE '^Max open files +100 +100 ' "/proc/$pid/limits" || return 1
	end
	jail lim2 || return 1
	why=$(cat "/proc/$pid/limits")
	grep -qE '^Max open files +2048 +2048 ' "/proc/$pid/limits" && end
	# by a pipe: the limit is for a file of output too
	jailer_to_pipe lim3 --resource-limit fsize=0 | cat >lim3.out
	expect lim3.out "cannot write the pid file: File too large"
}
case_network_namespace_is_joined() {
	touch netns/n
	unshare -n sh -c 'mount --bind /proc/self/ns/net netns/n' || { why="no network namespace here"; return 1; }
	ln -s n netns/link
	jail net --netns netns/link || return 1
	is netns "$(stat -L -c %i "/proc/$pid/ns/net")" "$(stat -c %i netns/n)" && end
}
case_descriptors_to_keep_are_inherited_by_number() {
	jail keep --keep-fd 9 --keep-fd 5 7>seven 5>five 9>nine || return 1
	is fds "$(ls "/proc/$pid/fd" | tr '\n' ' ')" "0 1 2 5 9 " && is 5 "$(readlink "/proc/$pid/fd/5")" "$PWD/five" && end
	refuses keepdir "leads out of the jail" --keep-fd 5 5<.
}
case_user_0_gets_no_capabilities_either() {
	root=base/jailed/zero/root
	timeout 30 ./husk-jailer --id zero --exec-file jailed --uid 0 --gid 0 --chroot-base-dir base --daemonize >zero.out 2>&1
	wait_for $root/report zero && is CapEff "$(status CapEff)" 0000000000000000 && is CapBnd "$(status CapBnd)" 0000000000000000 && end
}

skip() { echo "ok (skipped: $*)"; }
v1_mount() { awk -v c="$1" '$3 == "cgroup" && ("," $4 ",") ~ ("," c ",") { print $2; exit }' /proc/mounts; }
V2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)

case_cgroup_v1_values_are_written_then_joined() {
	local cpuset memory
	cpuset=$(v1_mount cpuset) memory=$(v1_mount memory)
	[ -n "$cpuset" ] && [ -n "$memory" ] || { skip "no cgroup v1 here"; return 0; }
	jail v1 --parent-cgroup husk-test/a --cgroup cpuset.mems=0 --cgroup cpuset.cpus=0 --cgroup memory.limit_in_bytes=104857600 \
		--cgroup memory.limit_in_bytes=209715200 || return 1
	is cpus "$(cat "$cpuset/husk-test/a/v1/cpuset.cpus")" 0 && is limit "$(cat "$memory/husk-test/a/v1/memory.limit_in_bytes")" 209715200 &&
		is parent "$(cat "$cpuset/husk-test/cpuset.cpus")" "$(cat "$cpuset/cpuset.cpus")" &&
		expect "/proc/$pid/cgroup" ":cpuset:/husk-test/a/v1" ":memory:/husk-test/a/v1"
	got=$?
	end
	sleep 0.2
	rmdir "$cpuset/husk-test/a/v1" "$memory/husk-test/a/v1" "$cpuset/husk-test/a" "$memory/husk-test/a" "$cpuset/husk-test" "$memory/husk-test"
	return $got
}
case_cgroup_v1_errors_name_what_is_wrong() {
	local memory
	memory=$(v1_mount memory)
	[ -n "$memory" ] || { skip "no cgroup v1 here"; return 0; }
	refuses v1a "no cgroup v1 mount with the controller nothing" --cgroup nothing.x=1 && refuses v1b "no file 'memory.nothing'" --cgroup memory.nothing=1 &&
		refuses v1c "cannot write 'x'" --cgroup memory.limit_in_bytes=x
	got=$?
	rmdir "$memory/jailed/v1c" "$memory/jailed"
	return $got
}

# The first of some settings whose controller version 2 has here.
v2_setting() {
	for s in hugetlb.2MB.max=4194304 pids.max=100 memory.high=1073741824 cpu.weight=50; do
		! grep -qw "${s%%.*}" "$V2/cgroup.controllers" || { echo "$s"; return; }
	done
}
# in_v2 ID WAY...: the payload of a jail is in its cgroup, with the value written.
in_v2() {
	local id=$1 s got
	shift
	s=$(v2_setting)
	[ -n "$s" ] || { skip "no cgroup v2 controller here"; return 0; }
	jail "$id" --cgroup-version 2 --parent-cgroup husk-test/b --cgroup "$s" "$@" || return 1
	expect "/proc/$pid/cgroup" "0::/husk-test/b/$id" && is value "$(cat "$V2/husk-test/b/$id/${s%%=*}")" "${s#*=}" &&
		is procs "$(cat "$V2/husk-test/b/$id/cgroup.procs")" "$pid"
	got=$?
	end
	sleep 0.2
	rmdir "$V2/husk-test/b/$id" "$V2/husk-test/b" "$V2/husk-test"
	return $got
}
case_cgroup_v2_values_are_written_then_joined() { in_v2 v2; }
case_cgroup_v2_the_daemon_is_born_into_its_group() { in_v2 v2d --daemonize; }
case_cgroup_v2_the_pid_ns_is_born_into_its_group() { in_v2 v2p --new-pid-ns; }
case_cgroup_v2_both_are_born_into_their_group() { in_v2 v2b --daemonize --new-pid-ns; }
case_cgroup_v2_without_settings_joins_a_parent_that_exists() {
	[ -n "$V2" ] || { skip "no cgroup v2 here"; return 0; }
	jail v2n --cgroup-version 2 --parent-cgroup husk-none || return 1
	is "no group" "$(sed -n 's/^0:://p' "/proc/$pid/cgroup")" "$(sed -n 's/^0:://p' /proc/$$/cgroup)" || return 1
	end
	mkdir -p "$V2/husk-test/c"
	jail v2j --cgroup-version 2 --parent-cgroup husk-test/c && expect "/proc/$pid/cgroup" "0::/husk-test/c"
	got=$?
	end
	sleep 0.2
	rmdir "$V2/husk-test/c" "$V2/husk-test"
	return $got
}
case_cgroup_v2_refuses_a_controller_that_is_not_there() {
	[ -n "$V2" ] || { skip "no cgroup v2 here"; return 0; }
	refuses v2x "no controller 'nothing'" --cgroup-version 2 --cgroup nothing.max=1 &&
		refuses v2y "is not <controller>.<file>=<value>" --cgroup-version 2 --cgroup pids.max=1=2
}

case_without_root_it_jails_in_a_user_namespace() {
	# refused even to root whose / is a chroot's
	unshare -U true 2>/dev/null || { skip "no user namespaces here"; return 0; }
	mkdir own
	chown 4321:4321 own
	mknod kvm c 10 232
	chmod 666 kvm
	mount --bind kvm /dev/kvm
	root=own/jailed/user/root
	./jailed as 4321 ./husk-jailer --id user --exec-file jailed --uid 1234 --gid 5678 --chroot-base-dir own --daemonize --new-pid-ns >user.out 2>&1 ||
		{ why="status $?: $(cat user.out)"; return 1; }
	wait_for $root/report user || return 1
	why=$(sed '/^arg/d; /^umask/d' $root/report | grep -v ': ok$')
	[ -z "$why" ] && is CapEff "$(status CapEff)" 0000000000000000 && is CapBnd "$(status CapBnd)" 0000000000000000 &&
		is owner "$(stat -c %u:%g $root $root/jailed | tr '\n' ' ')" "4321:4321 4321:4321 " && is uid "$(status Uid | cut -f1)" 4321 &&
		is map "$(tr -s ' ' <"/proc/$pid/uid_map")" " 1234 4321 1" &&
		is mounts "$(cut -d' ' -f5 "/proc/$pid/mountinfo" | sort | tr '\n' ' ' | sed 's@/dev/net/tun @@; s@/dev/userfaultfd @@')" "/ /dev/kvm /dev/urandom "
	got=$?
	end
	umount /dev/kvm
	return $got
}

run_cases
got=$?
umount -l base
exit $got
