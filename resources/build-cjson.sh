#!/bin/bash
# Makes OUTDIR/cJSON.c and OUTDIR/cJSON.h from Debian's source package: libcjson-dev has
# no static library. The deb-src lines are the build's own, made from the machine's.
set -euo pipefail

out=$1
[ -f "$out/cJSON.c" ] && exit 0
mkdir -p "$out/sources" "$out/lists/partial"
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

echo "cjson: fetching Debian's source package"
derive_source_lines
apt=(apt-get -q -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$out/sources"
	-o "Dir::State::Lists=$out/lists" -o APT::Sandbox::User=root)
"${apt[@]}" update >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
cd "$out"
"${apt[@]}" source --download-only cjson >>"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
rm -rf unpacked
dpkg-source --no-check -x cjson_*.dsc unpacked >>"$out/log"
cp unpacked/cJSON.h .
cp unpacked/cJSON.c .
rm -rf unpacked lists
