#!/bin/bash
# Makes OUTDIR/cJSON.c and OUTDIR/cJSON.h from Debian's source package: libcjson-dev has
# no static library.
set -euo pipefail

out=$1
[ -f "$out/cJSON.c" ] && exit 0
"$(dirname "$0")/debian-source.sh" cjson "$out"
cp "$out"/unpacked/cJSON.h "$out"/unpacked/cJSON.c "$out"
rm -rf "$out/unpacked"
