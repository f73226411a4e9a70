#!/bin/bash
# Checks that the reference host does what its README says: selftest.sh [HOSTDIR]
# HOSTDIR is what build-refhost made, build/host by default. Ends with "N passed, N failed".
# SPDX-License-Identifier: Apache-2.0
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
host=${1:-$here/../../build/host}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

run() { "$here/refhost" --host "$host" --quiet "$@" 2>"$work/stderr"; }

# check NAME WANTED GOT
check() {
	if [[ $3 == "$2" ]]; then
		echo "ok   $1"
		passed=$((passed + 1))
	else
		echo "FAIL $1: wanted '$2', got '$3'"
		sed 's/^/     /' "$work/stderr"
		failed=$((failed + 1))
	fi
}

write_job() { printf '%s\n' "$@" >"$work/job"; }

test_exit_statuses() {
	local status

	for status in 0 1 42 124 125 255; do
		write_job "exit $status"
		run "$work/job"
		check "exit status $status comes through" "$status" $?
	done
	write_job 'kill -SEGV $$'
	run "$work/job" >/dev/null
	check "death by a signal comes through" 139 $?
}

test_failures() {
	# Busy: time that is only slept through costs nothing here.
	write_job 'while :; do :; done'
	run --timeout 5 "$work/job"
	check "a job that does not end is stopped" 124 $?
	check "and the time limit is told" 1 "$(grep -c 'time limit of 5 s' "$work/stderr")"
	write_job 'echo c >/proc/sysrq-trigger'
	run "$work/job"
	check "a kernel panic is a failure" 125 $?
	check "and the panic is told" 1 "$(grep -c 'Kernel panic' "$work/stderr")"
	write_job 'poweroff -f'
	run "$work/job"
	check "a power-off without a status is a failure" 125 $?
}

test_output() {
	write_job 'echo <3>noise >/dev/kmsg' 'printf "one\ntwo\n"' 'echo three >&2'
	sed -i "s/<3>noise/'<3>noise'/" "$work/job"
	check "output has plain newlines and no kernel messages" \
		"$(printf 'one\ntwo\nthree' | od -c)" "$(run "$work/job" | head -c -1 | od -c)"
	write_job 'seq 20000'
	check "much output comes whole" "$(seq 20000 | md5sum)" "$(run "$work/job" | md5sum)"
	# shellcheck disable=SC2016 # it is for the job to expand
	write_job 'for a; do echo "[$a]"; done'
	check "arguments come through" "[a b] [it's] []" \
		"$(run "$work/job" -- 'a b' "it's" '' | paste -sd ' ')"
}

test_programs() {
	local first second

	gcc -O2 -o "$work/dynamic" "$here/selftest.c"
	gcc -O2 -static -o "$work/static" "$here/selftest.c"
	check "kvm works" "kvm works" "$(run "$work/dynamic" -- kvm)"
	check "kvm works with two processors" "kvm works" \
		"$(run --no-icount --cpus 2 "$work/static" -- kvm)"
	write_job nproc
	check "there are two processors" 2 "$(run --no-icount --cpus 2 "$work/job")"
	first=$(run "$work/static" -- work) second=$(run "$work/static" -- work)
	check "with icount, two runs agree within 1 % ($first and $second ns)" 1 \
		$((first > 0 && (first - second) * 100 < first && (second - first) * 100 < first))
	run --cpus 2 "$work/job"
	check "two processors with icount are refused" 125 $?
}

test_files() {
	head -c 20M /dev/urandom >"$work/input"
	check "the environment comes through" "SELFTEST is 'it's \$x'" \
		"$(run --env "SELFTEST=it's \$x" --out "$work/out" "$work/dynamic" "$work/input" -- dump)"
	cmp "$work/input" "$work/out/copy"
	check "20 MiB in and out are the same" 0 $?
	write_job 'cat /etc/some/where'
	echo here >"$work/file"
	check "a file goes where it is told" here \
		"$(run "$work/job" "$work/file=/etc/some/where")"
	check "a directory goes with what is in it" here \
		"$(mkdir "$work/some" && mv "$work/file" "$work/some/where" &&
			run "$work/job" "$work/some=/etc/some")"
}

test_several_at_once() {
	local pids=() pid bad=0

	write_job 'exit 7'
	for _ in 1 2 3 4; do
		run "$work/job" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
		[[ $? -eq 7 ]] || bad=1
	done
	check "four run at once" 0 $bad
}

test_profile() {
	run --profile "$work/profile" --out "$work/prof" "$work/static" -- work >/dev/null
	check "a profile finds the program and the kernel under it" "static kallsyms" \
		"$("$here/profile-report" "$work/profile" "$work/static" "$work/prof/kallsyms" |
			awk '/ main | run_work / { a = "static" }
				/ clear_page.*kallsyms/ { b = "kallsyms" }
				END { print a, b }')"
}

test_exit_statuses
test_failures
test_output
test_programs
test_files
test_several_at_once
test_profile
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
