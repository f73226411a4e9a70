# What the jobs of devices share; sourced after guest.sh. Their guests have an initramfs
# whose /sbin/function is the job's own script; words NAME=VALUE on the kernel's command
# line are in its environment.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox

HOST=172.16.0.1
GUEST=172.16.0.2
IP="ip=$GUEST::$HOST:255.255.255.0::eth0:off HOST=$HOST"

# make_initrd FILE, the script on stdin: busybox, the script, traffic.
make_initrd() {
	mkdir -p extra/sbin
	{ echo '#!/bin/sh' && cat; } >extra/sbin/function
	cp traffic extra/sbin/traffic
	chmod 755 extra/sbin/function extra/sbin/traffic
	{ cat initramfs.cpio && (cd extra && find . | cpio -o -H newc 2>/dev/null); } >"$1"
}

# write_vm FILE INITRD ARGS DRIVES INTERFACES [VCPUS [MORE]]: the two lists are JSON; MORE is
# further sections, with a comma at the end.
write_vm() {
	cat >"$1" <<END
{ "boot-source": { "kernel_image_path": "vmlinux", "initrd_path": "$2", "boot_args": "$CONSOLE $3" },
  ${7:-}"drives": [ $4 ], "network-interfaces": [ $5 ],
  "machine-config": { "vcpu_count": ${6:-1}, "mem_size_mib": 256 } }
END
}

# drive ID FILE READ_ONLY [MORE]: one of DRIVES; MORE is further members, after a comma.
drive() {
	echo "{\"drive_id\":\"$1\",\"path_on_host\":\"$2\",\"is_root_device\":false,\"is_read_only\":$3,\"cache_type\":\"Writeback\"${4:-}}"
}

# interface ID TAP [MORE]: one of INTERFACES.
interface() {
	echo "{\"iface_id\":\"$1\",\"host_dev_name\":\"$2\"${3:-}}"
}

# make_tap NAME ADDRESS [MTU]
make_tap() {
	tunctl -t "$1" >/dev/null && ifconfig "$1" "$2" netmask 255.255.255.0 mtu "${3:-1500}" up
}

# wait_for FILE WORDS: up to 120 s.
wait_for() {
	local tries=0
	until grep -qF -- "$2" "$1" 2>/dev/null; do
		tries=$((tries + 1))
		why="no '$2' in time: $(tail -n 5 "$1" 2>/dev/null | tr '\r\n' '  ')"
		[ $tries -lt 600 ] || return 1
		sleep 0.2
	done
	why=''
}
