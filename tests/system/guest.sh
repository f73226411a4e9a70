# What the jobs with guests share; sourced inside, by busybox's sh, in the job's folder.
# A case is a function named case_...; its words make the line that the case prints: "ok
# NAME", "FAIL NAME: why", or "skip NAME: why".
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox

# `quiet`: the log of a kernel is most of what a boot costs here. Cases about what is in it
# have `loglevel=7` after it.
CONSOLE="console=ttyS0 reboot=k panic=1 quiet"

# write_config FILE KERNEL INITRD ARGS VCPUS MIB [DRIVE...]; a drive is ID:FILE:ROOT:RO
write_config() {
	local file=$1 kernel=$2 initrd=$3 args=$4 vcpus=$5 mib=$6 drives='' d
	shift 6
	for d; do
		drives="$drives${drives:+,}$(echo "$d" | awk -F: '{ printf \
			"{\"drive_id\":\"%s\",\"path_on_host\":\"%s\",\"is_root_device\":%s,\"is_read_only\":%s,\"cache_type\":\"Writeback\"}", $1, $2, $3, $4 }')"
	done
	[ -z "$initrd" ] || initrd="\"initrd_path\":\"$initrd\","
	cat >"$file" <<END
{ "boot-source": { "kernel_image_path": "$kernel", $initrd "boot_args": "$args" },
  "drives": [ $drives ],
  "machine-config": { "vcpu_count": $vcpus, "mem_size_mib": $mib } }
END
}

# run_husk CONFIG OUTPUT [OPTION...]: boots and waits; the status is husk's.
run_husk() {
	local config=$1 output=$2
	shift 2
	timeout 120 ./husk --no-api --config-file "$config" --boot-timer "$@" \
		</dev/null >"$output" 2>&1
}

# expect FILE WORDS...: each must be in the file.
expect() {
	local file=$1 words
	shift
	for words; do
		grep -qF -- "$words" "$file" || {
			why="no '$words' in the output: $(tail -n 5 "$file" | tr '\r\n' '  ')"
			return 1
		}
	done
}

# The threads of the reference host take turns of 0.1 ms instead of 4: of a guest with several
# vCPUs and one processor, each waits for the other again and again, and spins. For jobs that
# measure nothing.
take_short_turns() {
	[ "$(hostname)" = refhost ] || return 0
	mount -t debugfs none /sys/kernel/debug
	(
		cd /sys/kernel/debug/sched || exit
		echo HRTICK >features
		echo 300000 >latency_ns
		echo 100000 >min_granularity_ns
		echo 100000 >wakeup_granularity_ns
	)
}

# skip WHY: this machine cannot run the case, which is to return what this does. The
# reference host can run all.
skip() {
	skipped=$1
	why="skipped: $1"
	[ "$(hostname)" != refhost ]
}

title() { echo "${1#case_}" | tr _ ' '; }

# Runs every case_ function of the job in the order of the file.
run_cases() {
	local c failed=0
	for c in $(sed -n 's/^\(case_[a-z0-9_]*\)().*/\1/p' "$0"); do
		why='' skipped=''
		if ! "$c"; then
			echo "FAIL $(title "$c"): $why"
			failed=1
		elif [ "$skipped" ]; then
			echo "skip $(title "$c"): $skipped"
		else
			echo "ok $(title "$c")"
		fi
	done
	return $failed
}
