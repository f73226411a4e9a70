#!/bin/bash
# Builds what the guest kernel boots: build-images.sh KERNEL_OUT OUTDIR
#   OUTDIR/init.cpio       initramfs with husk's init only, the smallest
#   OUTDIR/initramfs.cpio  initramfs with busybox too
#   OUTDIR/root.ext4       the same tree on disks: 64 MiB, read-write
#   OUTDIR/root.erofs      read-only
# KERNEL_OUT is what build-kernel.sh made (it has the kernel's cpio writer). EXTRA=DIR puts
# the files of DIR over the tree, such as DIR/sbin/function, which init runs if it is there.
# Needs no root and no loop device; the same input makes the same bytes. Does nothing when
# up to date.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
uuid=6875736b-0000-4000-8000-000000000001
export SOURCE_DATE_EPOCH=0 TZ=UTC E2FSPROGS_FAKE_TIME=1
PATH=$PATH:/sbin:/usr/sbin

say() { echo "build-images: $*"; }
die() {
	echo "build-images: $*" >&2
	exit 1
}

stamp_of_inputs() {
	{
		cat "$0" "$here/init/init.c" "$busybox"
		[[ ! ${EXTRA:-} ]] || (cd "$EXTRA" && find . -type f -exec sha256sum {} + | sort &&
			find . -printf '%p %m %l\n' | sort)
	} | sha256sum
}

build_init() {
	say "compiling init"
	# musl comes without the kernel's headers
	musl-gcc -std=gnu11 -Wall -Wextra -Wshadow -Wvla -Wconversion -Os -static -s \
		-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu \
		-ffunction-sections -fdata-sections -Wl,--gc-sections \
		-o "$work/init" "$here/init/init.c"
}

# Directories that init mounts upon are there, so that a read-only root does.
build_tree() {
	local applet d

	say "laying out the root"
	for d in bin dev etc proc root run sbin sys tmp usr/bin usr/sbin var/log; do
		mkdir -p "$tree/$d"
	done
	chmod 1777 "$tree/tmp"
	cp "$busybox" "$tree/bin/busybox"
	"$busybox" --list-full | grep -Ev '^(linuxrc|bin/busybox|sbin/init)$' |
		while read -r applet; do
			mkdir -p "$tree/$(dirname "$applet")"
			ln -sf /bin/busybox "$tree/$applet"
		done
	cp "$work/init" "$tree/sbin/init"
	ln -s sbin/init "$tree/init"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
	echo '127.0.0.1 localhost' >"$tree/etc/hosts"
	[[ ! ${EXTRA:-} ]] || cp -a "$EXTRA/." "$tree/"
	find "$tree" -exec touch -h -d @0 {} +
}

# The nodes that init and the kernel open before devtmpfs is mounted. gen_init_cpio takes
# them from a list, so nobody needs the right to make them.
list_nodes() {
	cat <<-'END'
		dir /dev 755 0 0
		nod /dev/console 600 0 0 c 5 1
		nod /dev/mem 600 0 0 c 1 1
		nod /dev/null 666 0 0 c 1 3
	END
}

list_tree() {
	(cd "$tree" && find . -mindepth 1 ! -path ./dev -printf '%y /%P %m %l\n') | LC_ALL=C sort -k 2 |
		while read -r type path mode link; do
			case $type in
			d) echo "dir $path $mode 0 0" ;;
			f) echo "file $path $tree$path $mode 0 0" ;;
			l) echo "slink $path $link 777 0 0" ;;
			esac
		done
}

build_cpios() {
	say "init.cpio, initramfs.cpio"
	{
		list_nodes
		echo "file /init $work/init 755 0 0"
	} >"$work/init.list"
	{
		list_nodes
		list_tree
	} >"$work/initramfs.list"
	"$gen" -t 0 "$work/init.list" >"$work/init.cpio"
	"$gen" -t 0 "$work/initramfs.list" >"$work/initramfs.cpio"
}

build_disks() {
	say "root.ext4, root.erofs"
	truncate -s 64M "$work/root.ext4"
	# Blocks of 4 KiB, as the page cache has them; a journal of 4 MiB is the smallest useful.
	"${as_root[@]}" mke2fs -q -t ext4 -b 4096 -J size=4 -m 0 -U "$uuid" -L husk-root \
		-d "$tree" -E "hash_seed=$uuid,lazy_itable_init=0,lazy_journal_init=0" \
		"$work/root.ext4"
	# mke2fs copies the times of the files, of which ctime and atime cannot be set outside.
	(cd "$tree" && find . -printf '/%P\n') | while read -r path; do
		for field in atime ctime crtime; do
			echo "sif \"$path\" $field @0"
			echo "sif \"$path\" ${field}_extra 0"
		done
	done | debugfs -w -f - "$work/root.ext4" >"$work/log" 2>&1 ||
		die "debugfs fails: $(tail -n 1 "$work/log")"
	mkfs.erofs -T 0 -U "$uuid" --all-root "$work/root.erofs" "$tree" >"$work/log" 2>&1 ||
		die "mkfs.erofs fails: $(tail -n 1 "$work/log")"
}

main() {
	local f stamp

	[[ $# -eq 2 ]] || die "usage: build-images.sh KERNEL_OUT OUTDIR"
	gen=$(cd "$1" && pwd)/obj/usr/gen_init_cpio
	[[ -x $gen ]] || die "no $gen: run build-kernel.sh $1"
	busybox=$(readlink -f "$(command -v busybox)") || die "no busybox: install busybox-static"
	mkdir -p "$2"
	out=$(cd "$2" && pwd)
	# Taken before the build: what changes meanwhile is built the next time.
	stamp=$(stamp_of_inputs)
	if [[ -e $out/stamp && $stamp == "$(cat "$out/stamp")" ]]; then
		say "$out is up to date"
		return
	fi
	work=$out/.work.$$
	mkdir "$work"
	trap 'rm -rf "$work"' EXIT
	tree=$work/root as_root=()
	# Files belong to the builder; in a name space of its own that is root.
	[[ $(id -u) -eq 0 ]] || as_root=(unshare -r)
	build_init
	build_tree
	build_cpios
	build_disks
	# Whoever boots them meanwhile sees the old or the new.
	for f in init init.cpio initramfs.cpio root.ext4 root.erofs; do
		mv "$work/$f" "$out/$f"
	done
	echo "$stamp" >"$out/stamp"
	say "done: $(cd "$out" && du -h --apparent-size init init.cpio initramfs.cpio root.erofs |
		awk '{ printf "%s%s %s", n++ ? ", " : "", $2, $1 }'), root.ext4 64M"
}

main "$@"
