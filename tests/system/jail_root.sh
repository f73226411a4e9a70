# Sourced first by jobs that make jails: the job starts anew with mounts of its own. On a
# host that runs from an initramfs, which pivot_root cannot leave, with a root that is a
# mount of the same files. That is moved to /: in a chroot there would be no user
# namespaces.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox
if [ -z "${HAS_OWN_MOUNTS-}" ]; then
	export HAS_OWN_MOUNTS=1
	grep -q '^rootfs / ' /proc/mounts || exec unshare -m --propagation private busybox sh "$0" "$@"
	job=$PWD
	mkdir /root_mount && mount --rbind / /root_mount && cd /root_mount && mount --move . / || exit 1
	exec chroot . sh -c 'cd "$1" && shift && exec sh "$@"' sh "$job" "$0" "$@"
fi
