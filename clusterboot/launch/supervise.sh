# Start the launcher in a session of its own and see to it that the run ends: by itself, at
# its deadline, or when standard input closes because nobody is there any more.

say() { printf '%s %s\n' "$nonce" "$*"; }

# The process' state and start time stand after its name, which may have spaces in it.
stat_field() {
	IFS= read -r stat <"/proc/$1/stat" || return 1
	set -- "$2" ${stat##*) }
	shift "$1"
	printf '%s\n' "$1"
} 2>/dev/null

running() {
	state=$(stat_field "$1" 1) && [ "$state" != Z ] && [ "$state" != X ]
}

# A signal that lands just before "wait" begins does not interrupt it, so the watchers
# repeat theirs until they are stopped.
watch_operator() {
	exec >/dev/null 2>&1
	while read -r ignored; do :; done <&3
	exec 3<&-
	while kill -USR1 $$; do sleep 1; done
}

watch_clock() {
	exec >/dev/null 2>&1 3<&-
	trap 'kill -KILL $!; exit 0' TERM
	sleep "$1" &
	wait $!
	while kill -USR2 $$; do
		sleep 1 &
		wait $!
	done
}

set_alarm() {
	watch_clock "$1" &
	clock=$!
}

# A signal to a subshell that has just been forked, and has not yet put its parent's traps
# away, is lost: once is not enough here either.
stop_watching() {
	for watcher; do
		while running "$watcher"; do
			kill "$watcher" 2>/dev/null
		done
	done
	event=
}

# Until the launcher ends or something happens.
await() {
	while :; do
		wait "$pid" 2>/dev/null
		code=$?
		[ -z "$event" ] || return 0
		running "$pid" || return 0
	done
}

# The launcher's own group; without a session of its own there is only the launcher.
signal_run() {
	kill -"$1" -"$pid" 2>/dev/null || { running "$pid" && kill -"$1" "$pid"; } 2>/dev/null
}

end_run() {
	stop_watching "$operator" "$clock"
	signal_run TERM
	set_alarm "$grace_s"
	await
	stop_watching "$clock"
	signal_run KILL
}

# The umask stays out of the run, whose files are the user's.
prepare() (
	umask 077
	mkdir -p "$folder" && write_files &&
		printf '%s %s\n' $$ "$(stat_field $$ 20)" >"$folder/supervisor"
)

event=
trap 'event=gone' USR1
trap 'event=deadline' USR2
# Whoever stops the supervisor signals once. Passed on at once, that ends the launcher and so
# the wait, also where the signal came just before the wait began.
trap 'event=stopped; signal_run TERM' HUP INT TERM
trap : PIPE
exec 3<&0 </dev/null

if cd && prepare; then
	setsid=$(command -v setsid)
	say begin
	launch 3<&- &
	pid=$!
	watch_operator &
	operator=$!
	exec 3<&-
	set_alarm "$deadline_s"
	await
	how=${event:-exited}
	if [ "$how" = exited ]; then
		stop_watching "$operator" "$clock"
	else
		end_run
	fi
	sweep "$run_id"
	rm -rf "$folder"
	rmdir "${folder%/*}" 2>/dev/null
	set -- $killed
	killed=$#
	set -- $left
	say end "$how" "$code" "$killed" "$#"
else
	say begin
	say end not-started 1 0 0
fi
exit 0
