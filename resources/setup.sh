#!/bin/bash
# Installs, with apt, the packages that building, testing and measuring husk need and this
# machine lacks. Ends at once when none is missing.
set -euo pipefail

packages=(
	# building husk
	gcc make dpkg-dev libc6-dev libxxhash-dev node-llhttp liburing-dev libseccomp-dev
	# the guest kernel and the images
	linux-source-6.12 flex bison bc libelf-dev xz-utils lz4 kmod cpio
	musl-tools busybox-static e2fsprogs erofs-utils
	# the reference host
	qemu-system-x86
	# tests, lint, fuzzing and packaging
	libcriterion-dev libyaml-dev clang libclang-rt-14-dev llvm-14 clang-format clang-tidy
	cppcheck shellcheck curl binutils file git python3-minimal mandoc mmdebstrap
	# what README's examples call
	iproute2
)

# dpkg-query prints nothing for a package that it does not know.
list_missing() {
	local p here

	here=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
	for p in "${packages[@]}"; do
		[[ $'\n'$here$'\n' == *$'\n'"$p installed"$'\n'* ]] || echo "$p"
	done
}

mapfile -t missing < <(list_missing)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
	echo "setup: not root: run 'apt-get install ${missing[*]}' as root first" >&2
	exit 1
fi
# A second set-up waits for the first, and then finds that nothing is missing.
if [ -z "${HUSK_SETUP_LOCKED-}" ]; then
	HUSK_SETUP_LOCKED=1 exec flock /run/lock/husk-setup "$0"
fi
echo "setup: installing ${missing[*]}"
apt-get -q update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
	-o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
