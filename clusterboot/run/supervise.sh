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
	while read -r ignored; do
		[ -z "$listener" ] || kill -USR1 "$listener"
	done <&3
	exec 3<&-
	while kill -USR1 $$; do sleep 1; done
}

# A line that is cut without a word, as by a firewall, does not close standard input for a long
# time. So the operator sends a line a second, and its absence counts as the end too.
watch_silence() {
	exec >/dev/null 2>&1 3<&-
	trap 'kill -KILL $!; exit 0' TERM
	trap 'quiet_s=0' USR1
	quiet_s=0
	while [ "$quiet_s" -lt "$silence_s" ]; do
		sleep 1 &
		wait $!
		quiet_s=$((quiet_s + 1))
	done
	while kill -USR1 $$; do
		sleep 1 &
		wait $!
	done
}

watch_clock() {
	exec >/dev/null 2>&1 3<&-
	trap 'kill -KILL $!; exit 0' TERM
	left_s=$1
	# In steps: who kills the supervisor outright leaves nobody to stop this clock.
	while [ "$left_s" -gt 0 ]; do
		step_s=2
		[ "$left_s" -ge "$step_s" ] || step_s=$left_s
		sleep "$step_s" &
		wait $!
		running $$ || exit 0
		left_s=$((left_s - step_s))
	done
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
	stop_watching "$operator" $listener "$clock"
	signal_run TERM
	# What a launcher says in its orderly end is for somebody who reads it.
	[ "$how" != gone ] || grace_s=1
	set_alarm "$grace_s"
	await
	stop_watching "$clock"
	signal_run KILL
}

# Where nobody is there any more to have the other nodes cleared, this node does it: a
# launcher's daemons do not all end their ranks when the launcher is gone.
clear_others() {
	ended=$code
	sweep_others >/dev/null 2>&1 &
	pid=$!
	set_alarm "$clear_s"
	await
	stop_watching "$clock" "$pid"
	code=$ended
}

# The umask stays out of the run, whose files are the user's. The folder appears under its
# name only when it is complete: one without a supervisor is taken for a dead run's.
prepare() (
	umask 077
	final=$folder
	folder=${folder%/*}/.new.${folder##*/}
	mkdir -p "$folder" &&
		printf '%s %s %s %s\n' $$ "$(stat_field $$ 20)" "$(uname -n)" "$(cat /proc/sys/kernel/random/boot_id)" \
			>"$folder/supervisor" &&
		write_files && mv "$folder" "$final"
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
	# Whoever stopped this before there was a launcher to pass it on to.
	[ -z "$event" ] || signal_run TERM
	listener=
	if [ "$silence_s" -gt 0 ]; then
		# Ignored until it listens: else an early line would end it.
		trap '' USR1
		watch_silence &
		listener=$!
		trap 'event=gone' USR1
	fi
	watch_operator &
	operator=$!
	exec 3<&-
	set_alarm "$deadline_s"
	await
	how=${event:-exited}
	if [ "$how" = exited ]; then
		stop_watching "$operator" $listener "$clock"
	else
		end_run
	fi
	sweep "$run_id"
	case $how in
	gone | stopped) clear_others ;;
	esac
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
