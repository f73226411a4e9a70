#!/bin/bash
# Unpacks Debian's source package NAME into OUTDIR/unpacked: debian-source.sh NAME OUTDIR. The
# deb-src lines are the build's own, made from the machine's; apt's lists and cache are too, so
# that several may run at a time.
set -euo pipefail

name=$1 out=$2
mkdir -p "$out"/{sources,lists/partial,cache}
out=$(realpath "$out")

derive_source_lines() {
	local f
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$f" ] && sed -n 's/^deb /deb-src /p' "$f" >"$out/sources/$(basename "$f" .list).list"
	done
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -f "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$out/sources/$(basename "$f")"
	done
	return 0
}

run() {
	"$@" >>"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
}

echo "$name: fetching Debian's source package"
: >"$out/log"
derive_source_lines
apt=(apt-get -q -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$out/sources"
	-o "Dir::State::Lists=$out/lists" -o "Dir::Cache=$out/cache" -o APT::Sandbox::User=root)
run "${apt[@]}" update
cd "$out"
rm -f "$name"_*.dsc # of a version before
run "${apt[@]}" source --download-only "$name"
rm -rf unpacked
run dpkg-source --no-check -x "$name"_*.dsc unpacked
rm -rf sources lists cache
