# What the benchmarks share; sourced by bash outside the host. Raw lines "FIGURE VALUE",
# one a run, become a table on stdout and JSON lines in build/bench/NAME.jsonl.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# report NAME RAW BARS: BARS has lines "FIGURE UNIT BAR [PEER_FIGURE]", where - means that
# there is no bar or peer. The value of a figure is the median of its runs.
report() {
	local name=$1 raw=$2 bars=$3 commit version
	commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
	version=$(build/release/husk --version | sed -n '1s/husk v//p')
	mkdir -p build/bench
	awk -v commit="$commit" -v version="$version" -v jsonl="build/bench/$name.jsonl" '
		function median(f,    n, i, j, t, v) {
			n = count[f]
			for (i = 1; i <= n; i++) v[i] = runs[f, i]
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
					t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
				}
			return v[int((n + 1) / 2)]
		}
		NR == FNR { runs[$1, ++count[$1]] = $2; next }
		BEGIN { printf "%-40s %10s %8s  %-9s %s\n", "figure", "value", "bar", "", "beside it" }
		count[$1] {
			value = median($1)
			list = ""
			for (i = 1; i <= count[$1]; i++) list = list (i > 1 ? "," : "") runs[$1, i]
			peer = $4 != "" && $4 != "-" && count[$4] ? median($4) : ""
			printf "%-40s %10s %8s  %-9s %s\n", $1, value, $3 == "-" ? "" : $3, \
				$3 == "-" ? "" : value + 0 <= $3 + 0 ? "met" : "NOT MET", \
				peer == "" ? "" : "qemu-microvm " peer
			printf "{\"figure\":\"%s\",\"unit\":\"%s\",\"value\":%s,%s\"runs\":[%s],%s\"husk\":\"%s\",\"commit\":\"%s\"}\n", \
				$1, $2, value, $3 == "-" ? "" : "\"bar\":" $3 ",", list, \
				peer == "" ? "" : "\"peers\":{\"qemu-microvm\":" peer "},", version, commit >jsonl
		}
	' "$raw" "$bars"
}
