#!/bin/bash
# Builds the guest kernel: build-kernel.sh OUTDIR
#   OUTDIR/vmlinux        what a monitor loads, and nothing else (see pack-kernel.c)
#   OUTDIR/bzImage        the same kernel, compressed
#   OUTDIR/vmlinux.debug  with symbols, and System.map: for profiles
# The source is Debian's linux-source package. KERNEL_FRAGMENTS may name further fragments,
# KERNEL_CC another compiler ("ccache gcc"), JOBS how many processes. Does nothing when up
# to date, and compiles only what a changed fragment changes.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tarball=${KERNEL_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
read -ra fragments <<<"$here/kernel.config ${KERNEL_FRAGMENTS:-}"
# Files whose loops run once for every page of memory or every patched instruction.
for_speed=(CFLAGS_{mm_init,page_alloc,insn,alternative,set_memory,vsprintf}.o=-O2)
# The same input makes the same kernel, whoever builds it and when.
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_USER=husk KBUILD_BUILD_HOST=husk

say() { echo "build-kernel: $*"; }
die() {
	echo "build-kernel: $*" >&2
	exit 1
}

run_make() {
	# For size, gcc copies and zeroes with inline byte loops (rep stosb); the kernel's own
	# functions do it by eight bytes.
	make -C "$out/src" O="$out/obj" CC="${KERNEL_CC:-gcc}" -j"${JOBS:-2}" \
		KCFLAGS=-mstringop-strategy=libcall \
		"${for_speed[@]}" "$@"
}

stamp_of_inputs() {
	{
		cat "$0" "$here/pack-kernel.c" "${fragments[@]}"
		stat -c '%s %Y' "$tarball"
		echo "${KERNEL_CC:-gcc}"
		gcc --version
	} | sha256sum
}

# Replaces line $2 of source file $1 with $3.
edit() {
	local file=$out/src/$1

	grep -qxF -- "$2" "$file" || die "cannot edit $file: it has no line '$2'"
	awk -v old="$2" -v new="$3" '{ print $0 == old ? new : $0 }' "$file" >"$file.new"
	mv "$file.new" "$file"
}

# What no option switches off. The lines say where; README.md says what each is worth.
edit_source() {
	local script=arch/x86/kernel/vmlinux.lds.S

	# The entry code gets 2 MiB of its own, so that page table isolation can map just that
	# into user space. It costs a huge page of every guest; mapping the code around it too
	# tells nothing that is secret.
	edit $script '#define ALIGN_ENTRY_TEXT_BEGIN	. = ALIGN(PMD_SIZE);' \
		'#define ALIGN_ENTRY_TEXT_BEGIN	. = ALIGN(PAGE_SIZE);'
	edit $script '#define ALIGN_ENTRY_TEXT_END	. = ALIGN(PMD_SIZE);' \
		'#define ALIGN_ENTRY_TEXT_END	. = ALIGN(PAGE_SIZE);'
	# Without CONFIG_PCI, ACPI fails to install its handler for PCI's registers and gives up.
	edit drivers/acpi/acpica/evhandler.c '	ACPI_ADR_SPACE_PCI_CONFIG,' \
		'	ACPI_ADR_SPACE_DATA_TABLE,'
	# The switch to x2APIC saves, masks and restores the IOAPIC, whose pins are all masked
	# after a reset: 200 accesses to its page, each an exit.
	edit arch/x86/kernel/apic/apic.c '	ret = save_ioapic_entries();' '	ret = 0;'
	edit arch/x86/kernel/apic/apic.c '	mask_ioapic_entries();' ''
	edit arch/x86/kernel/apic/apic.c '		restore_ioapic_entries();' '		;'
	# 30 files in /sys/kernel/slab for each kind of object; only debuggers of the allocator
	# read them.
	edit mm/slab.h '#if defined(CONFIG_SYSFS) && !defined(CONFIG_SLUB_TINY)' '#if 0'
	# /sys/module/*/parameters: each file added makes all of its directory anew.
	edit kernel/params.c 'static int __init param_sysfs_builtin_init(void)' \
		'static int __init __maybe_unused param_sysfs_builtin_init(void)'
	edit kernel/params.c 'late_initcall(param_sysfs_builtin_init);' ''
}

unpack() {
	local stamp

	stamp=$({ stat -c '%s %Y' "$tarball" && declare -f edit_source; } | sha256sum)
	[[ ! -e $out/src/.unpacked || $(cat "$out/src/.unpacked") != "$stamp" ]] || return 0
	say "unpacking $(basename "$tarball")"
	# The tree keeps the dates of the tarball, so make could miss an edit that was taken back.
	rm -rf "$out/src" "$out/obj"
	mkdir -p "$out/src"
	tar -xf "$tarball" -C "$out/src" --strip-components=1
	edit_source
	echo "$stamp" >"$out/src/.unpacked"
}

# Every line of the fragments must be in the configuration that kconfig makes of them; where
# two fragments name a symbol, the later one counts.
check_config() {
	local line symbol

	while read -r line; do
		symbol=${line#\# }
		symbol=${symbol%%[ =]*}
		case $line in
		CONFIG_*) grep -qxF "$line" "$out/obj/.config" || die "kconfig drops '$line'" ;;
		*) ! grep -q "^$symbol=" "$out/obj/.config" ||
			die "kconfig sets $symbol, which a fragment excludes" ;;
		esac
	done < <(awk '/^CONFIG_/ { split($0, part, "="); last[part[1]] = $0 }
		/^# CONFIG_[A-Z0-9_a-z]* is not set$/ { last[$2] = $0 }
		END { for (s in last) print last[s] }' "${fragments[@]}" | sort)
}

configure() {
	local src=$out/src

	say "configuring: tinyconfig and ${fragments[*]##*/}"
	mkdir -p "$out/obj"
	run_make outputmakefile >"$out/build.log" 2>&1
	(cd "$src" && scripts/kconfig/merge_config.sh -n -O "$out/obj" \
		kernel/configs/tiny-base.config kernel/configs/tiny.config \
		arch/x86/configs/tiny.config "${fragments[@]}") >>"$out/build.log" 2>&1 ||
		die "kconfig fails, see $out/build.log"
	check_config
}

# Shows how far it is: a line for every 200 files.
compile() {
	say "compiling (about 1,200 files, some minutes, the first time); log in $out/build.log"
	run_make vmlinux bzImage 2>&1 | tee -a "$out/build.log" |
		awk '/^  (CC|AS) / && ++n % 200 == 0 { printf "build-kernel: %d files\n", n; fflush() }' ||
		{
			grep -m 5 -E 'error|Error' "$out/build.log" >&2
			die "the compilation fails, see $out/build.log"
		}
}

install_outputs() {
	gcc -O2 -Wall -Wextra -o "$out/pack-kernel" "$here/pack-kernel.c"
	"$out/pack-kernel" "$out/obj/vmlinux" "$out/vmlinux.new"
	cp "$out/obj/vmlinux" "$out/vmlinux.debug.new"
	cp "$out/obj/arch/x86/boot/bzImage" "$out/bzImage.new"
	cp "$out/obj/System.map" "$out/System.map.new"
	# Whoever reads them meanwhile sees the old or the new.
	for f in vmlinux vmlinux.debug bzImage System.map; do
		mv "$out/$f.new" "$out/$f"
	done
}

main() {
	local stamp

	[[ $# -eq 1 ]] || die "usage: build-kernel.sh OUTDIR"
	[[ -e $tarball ]] || die "no $tarball: apt-get install linux-source-6.12"
	mkdir -p "$1"
	out=$(cd "$1" && pwd)
	# Taken before the build: what changes meanwhile is built the next time.
	stamp=$(stamp_of_inputs)
	if [[ -e $out/stamp && $stamp == "$(cat "$out/stamp")" ]]; then
		say "$out/vmlinux is up to date"
		return
	fi
	rm -f "$out/stamp"
	unpack
	configure
	compile
	install_outputs
	echo "$stamp" >"$out/stamp"
	say "done: vmlinux $(($(stat -c %s "$out/vmlinux") >> 10)) KiB," \
		"bzImage $(($(stat -c %s "$out/bzImage") >> 10)) KiB"
}

main "$@"
