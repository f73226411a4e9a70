# What the jobs about the API share; sourced after guest.sh, inside.
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=busybox

# start_husk NAME [OPTION...]: in the background, with its socket NAME.sock, its log
# NAME.log and the guest's console NAME.out; until it answers. Sets name and pid. What a
# case that failed left behind is killed first.
pid=''
start_husk() {
	[ -z "$pid" ] || kill -KILL $pid
	name=$1
	shift
	./husk --api-sock "$name.sock" --log-path "$name.log" --boot-timer "$@" \
		<"${stdin:-/dev/null}" >"$name.out" 2>&1 &
	pid=$!
	until answers; do
		why="husk does not answer: $(cat "$name.out")"
		kill -0 $pid 2>/dev/null || return 1
		sleep 0.1
	done
}

# api METHOD PATH [BODY]: by our client if it is here, for each curl costs as much as 20 of it;
# in a case with $by_curl, and without client, by curl, without a Content-Type. Sets status and
# body.
api() {
	if [ -x ./client ] && [ -z "${by_curl-}" ]; then
		body=$(./client "$name.sock" "$(echo "$1" | tr A-Z a-z)" "$2" ${3+"$3"} reply 2>&1) ||
			{ why="$1 $2: $body"; return 1; }
		status=${body%% *}
		body=${body#"$status"}
		body=${body# }
		return
	fi
	body=$(curl -sS --max-time 60 --unix-socket "$name.sock" -X "$1" -H 'Content-Type:' ${3+-d "$3"} \
		-w ' %{http_code}' "localhost$2") || { why="$1 $2: curl ends with $?"; return 1; }
	status=${body##* }
	body=${body% *}
}

answers() {
	if [ -x ./client ]; then
		./client "$name.sock" get / reply >/dev/null 2>&1
	else
		curl -s -o /dev/null --unix-socket "$name.sock" localhost/
	fi
}

# wants STATUS METHOD PATH [BODY]
wants() {
	local want=$1
	shift
	api "$@" || return 1
	why="$1 $2: status $status, not $want: $body"
	[ "$status" = "$want" ]
}

start_instance() { wants 204 PUT /actions '{"action_type":"InstanceStart"}'; }

# put_machine ARGS [VCPUS]: our kernel with the initramfs that has busybox.
put_machine() {
	wants 204 PUT /machine-config "{\"vcpu_count\":${2:-1},\"mem_size_mib\":128}" &&
		wants 204 PUT /boot-source "{\"kernel_image_path\":\"vmlinux\",\"initrd_path\":\"initramfs.cpio\",\"boot_args\":\"$1\"}"
}

# put_drive ID FILE [IS_ROOT]
put_drive() {
	wants 204 PUT "/drives/$1" "{\"drive_id\":\"$1\",\"path_on_host\":\"$2\",\"is_root_device\":${3:-false},\"cache_type\":\"Writeback\"}"
}

# put_script SCRIPT [VCPUS]: a guest whose first drive, /dev/vda, is what it runs.
put_script() {
	echo "$1" >"$name.script"
	# whole sectors, and nothing but newlines at the end
	head -c 1024 /dev/zero | tr '\0' '\n' >>"$name.script"
	truncate -s $(($(stat -c %s "$name.script") / 512 * 512)) "$name.script"
	put_machine "$CONSOLE FUNCTION=\\\"/bin/sh /dev/vda\\\"" "$2" && put_drive script "$name.script"
}

# says FILE WORDS: waits up to 100 s, which cost nothing where time is the host's own.
says() {
	local tries=0
	until grep -qsF -- "$2" "$1"; do
		tries=$((tries + 1))
		why="no '$2' in $1: $(tail -n 5 "$1" | tr '\r\n' '  ')"
		[ $tries -lt 1000 ] || return 1
		sleep 0.1
	done
}

# ends STATUS: waits for husk, which must end so and leave no socket.
ends() {
	local status=0
	wait $pid || status=$?
	pid=''
	why="husk ends with status $status, not $1: $(tail -n 3 "$name.log")"
	[ $status -eq "$1" ] || return 1
	why="the socket is still there"
	[ ! -e "$name.sock" ]
}

stop_husk() {
	kill -TERM $pid
	ends 143
}

# The value of a counter in a line of metrics: counter GROUP NAME <LINE
counter() { sed "s/.*\"$1\":{[^}]*\"$2\":\([0-9]*\).*/\1/"; }
