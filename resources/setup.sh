#!/bin/bash
# Installs with apt what building, testing and measuring husk needs and this machine
# lacks. Does nothing, quickly, when all is there.
set -euo pipefail

packages=(
	# building husk
	gcc make dpkg-dev libc6-dev libxxhash-dev node-llhttp liburing-dev libseccomp-dev
	# the guest kernel and the images
	linux-source-6.12 flex bison bc libelf-dev xz-utils lz4 kmod cpio
	musl-tools busybox-static e2fsprogs erofs-utils
	# the reference host
	qemu-system-x86
	# tests and lint
	libcriterion-dev libyaml-dev clang clang-format clang-tidy cppcheck shellcheck curl
	binutils file python3-minimal mandoc mmdebstrap
)

missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "setup: installing ${missing[*]}"
if [ "$(id -u)" -ne 0 ]; then
	echo "setup: not root: run 'apt-get install ${missing[*]}' as root first" >&2
	exit 1
fi
apt-get -q update >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
	"${missing[@]}" >/dev/null
