#!/bin/bash
# Measures what options cost a guest's boot: measure-options.sh [NAME...]
# Builds the kernel once more for each option that differs (incrementally, in OUT), boots all
# of them on the reference host by measure/boot.c, and prints a table: ms at 1 GIPS from the
# first guest instruction to init, and KiB loaded, both against kernel.config as it is.
# The figures repeat within about 0.1 ms. Some options take as long as a whole build. An
# option that does not build is said so and left out.
# Environment: KERNEL_OUT, HOST_OUT, OUT (default build/kernel, build/host, build/options).
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
base=$(cd "${KERNEL_OUT:-$top/build/kernel}" && pwd)
host=$(cd "${HOST_OUT:-$top/build/host}" && pwd)
mkdir -p "${OUT:-$top/build/options}"
out=$(cd "${OUT:-$top/build/options}" && pwd)

# NAME|words of the command line, and options: X=value, or -X for an option switched off.
options='
no-acpi|-ACPI -VMGENID -SERIAL_8250_PNP
no-mptable|-X86_MPPARSE
no-ipv6|-IPV6
no-vsock|-VIRTIO_VSOCKETS -VSOCKETS
no-packet|-PACKET
no-ext4|-EXT4_FS -EXT4_FS_POSIX_ACL -EXT4_FS_SECURITY
no-erofs|-EROFS_FS -EROFS_FS_XATTR -EROFS_FS_POSIX_ACL -EROFS_FS_SECURITY
no-overlay|-OVERLAY_FS
no-cgroups|-CGROUPS -MEMCG -CGROUP_SCHED -FAIR_GROUP_SCHED -CFS_BANDWIDTH -CGROUP_PIDS -CGROUP_FREEZER
no-memcg|-MEMCG
no-aio-io-uring|-AIO -IO_URING
no-namespaces|-NAMESPACES -UTS_NS -IPC_NS -USER_NS -PID_NS -NET_NS
no-thp|-TRANSPARENT_HUGEPAGE -TRANSPARENT_HUGEPAGE_ALWAYS
no-serial|-SERIAL_8250_PNP -SERIAL_8250_CONSOLE -SERIAL_8250 -SERIAL_8250_NR_UARTS -SERIAL_8250_RUNTIME_UARTS
no-pv-spinlocks|-PARAVIRT_SPINLOCKS
no-printk|-PRINTK -PRINTK_TIME -LOG_BUF_SHIFT
nr-cpus-8|NR_CPUS=8
slub-tiny|SLUB_TINY=y
jump-labels|JUMP_LABEL=y
kallsyms|KALLSYMS=y
ikconfig|IKCONFIG=y
modules|MODULES=y
pci|PCI=y
mtrr-pat|MTRR=y
vt-input|VT=y INPUT=y
hw-random|HW_RANDOM=y HW_RANDOM_VIRTIO=y
bpf-syscall|BPF_SYSCALL=y
ftrace|FTRACE=y FUNCTION_TRACER=y
orc-unwinder|-UNWINDER_GUESS UNWINDER_ORC=y
crypto-self-tests|-CRYPTO_MANAGER_DISABLE_TESTS
replace-smp|CMDLINE=""
port-table-64k|INET_TABLE_PERTURB_ORDER=16
hz-1000|-HZ_100 HZ_1000=y
at-16-mib|PHYSICAL_START=0x1000000
init-on-alloc|INIT_ON_ALLOC_DEFAULT_ON=y
stack-not-zeroed|INIT_STACK_NONE=y -INIT_STACK_ALL_ZERO
for-speed|-CC_OPTIMIZE_FOR_SIZE CC_OPTIMIZE_FOR_PERFORMANCE=y
no-retpoline|-MITIGATION_RETPOLINE
rethunk|MITIGATION_RETHUNK=y MITIGATION_UNRET_ENTRY=y MITIGATION_SRSO=y
no-pti|-MITIGATION_PAGE_TABLE_ISOLATION
cmdline-9-words|reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce pci=off
acpi-switched-off|acpi=off
'

say() { echo "measure-options: $*" >&2; }
die() {
	say "$@"
	exit 1
}

# Prints the words of option $1 that are not symbols of kconfig: those have no small letters.
cmdline_of() {
	printf '%s\n' "${words[$1]}" | tr ' ' '\n' | grep '[a-z].*[a-z]' | tr '\n' ' ' || true
}

write_fragment() {
	local word

	for word in ${words[$1]}; do
		case $word in
		*[a-z]*[a-z]*) ;;
		-*) echo "# CONFIG_${word#-} is not set" ;;
		*) echo "CONFIG_$word" ;;
		esac
	done
}

# Makes $out/obj.base, a copy of the base's objects to be used at $out/obj. objtool contains the
# path at which it was built, so it is made anew; no object needs to be.
prepare_tree() {
	[[ ! -e $out/of || $(cat "$out/of") != "$(cat "$base/stamp")" ]] || return 0
	say "copying the tree of $base"
	rm -rf "$out/obj" "$out/obj.base"
	ln -sfn "$base/src" "$out/src"
	cp -a "$base/obj" "$out/obj"
	make -C "$out/src" O="$out/obj" KCFLAGS=-mstringop-strategy=libcall -j"${JOBS:-2}" prepare \
		>"$out/build.log" 2>&1 || die "the copied tree does not build, see $out/build.log"
	find "$out/obj/tools" -exec touch -h -r "$base/obj/tools/objtool/objtool" {} +
	mv "$out/obj" "$out/obj.base"
	cp "$base/stamp" "$out/of"
}

# Does nothing if the kernel of option $1 was built before from the same base.
build_option() {
	local kernel=$out/kernels/$1

	mkdir -p "$out/kernels"
	write_fragment "$1" >"$out/fragment"
	cat "$base/stamp" "$out/fragment" >"$out/inputs"
	if [[ -e $kernel ]] && cmp -s "$out/inputs" "$kernel.inputs"; then
		return
	fi
	if [[ -s $out/fragment ]]; then
		say "building $1 ($2 of ${#names[@]})"
		rm -rf "$out/obj" "$out/stamp"
		cp -a "$out/obj.base" "$out/obj"
		KERNEL_FRAGMENTS=$out/fragment "$here/build-kernel.sh" "$out" >"$out/log" 2>&1 ||
			{ say "left out: $1: $(tail -n 1 "$out/log")" && return 1; }
		mv "$out/vmlinux" "$kernel"
	else
		cp "$base/vmlinux" "$kernel"
	fi
	mv "$out/inputs" "$kernel.inputs"
}

# Boots every kernel once, as the list says: NAME|KERNEL|MIB|COMMAND LINE
boot_all() {
	local name files=("$out/boot" "$out/list" "$base/../images/init.cpio" "$out/vmlinux.base")

	gcc -O2 -static -o "$out/boot" "$here/measure/boot.c"
	cp "$base/vmlinux" "$out/vmlinux.base"
	{
		echo 'base|vmlinux.base|128|'
		echo 'memory-1024-mib|vmlinux.base|1024|'
	} >"$out/list"
	for name in "${built[@]}"; do
		cp "$out/kernels/$name" "$out/vmlinux.$name"
		files+=("$out/vmlinux.$name")
		echo "$name|vmlinux.$name|128|$(cmdline_of "$name")" >>"$out/list"
	done
	cat >"$out/job" <<-'END'
		while IFS='|' read -r name kernel mib words; do
			echo "$name $(timeout 60 ./boot "$kernel" init.cpio "$mib" "$words")"
		done <list
	END
	say "booting ${#built[@]} kernels on the reference host"
	"$top/tests/host/refhost" --quiet --host "$host" --timeout 600 "$out/job" "${files[@]}" \
		2>"$out/refhost.log" >"$out/results" || die "$(tail -n 3 "$out/refhost.log")"
	rm -f "$out"/vmlinux.*
}

# A line of results: NAME N us, N exits, N.NN MiB loaded, N huge pages
print_table() {
	awk '
	$1 == "base" {
		us = $2; mib = $6
		print "| option | ms at 1 GIPS | KiB loaded | 2 MiB pages touched |"
		print "|---|---|---|---|"
		printf "| kernel.config as it is | %.2f | %d | %d |\n", us / 1000, mib * 1024, $9
		next
	}
	$3 != "us," { printf "| %s | %s | | |\n", $1, "does not boot"; next }
	{ printf "| %s | %+.2f | %+d | %d |\n", $1, ($2 - us) / 1000, ($6 - mib) * 1024, $9 }
	' "$out/results"
}

main() {
	local name n=0

	declare -gA words=()
	names=() built=()
	while IFS='|' read -r name rest; do
		[[ $name ]] || continue
		words[$name]=$rest
		[[ $# -gt 0 ]] || names+=("$name")
	done <<<"$options"
	for name; do
		[[ ${words[$name]:-} ]] || die "no option '$name'"
		names+=("$name")
	done
	prepare_tree
	for name in "${names[@]}"; do
		n=$((n + 1))
		! build_option "$name" "$n" || built+=("$name")
	done
	boot_all
	print_table
}

main "$@"
