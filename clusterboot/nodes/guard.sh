# Beside a script: ends it, and all that it started, once its operator is gone or its time is up.
# Standard input stays open while the operator is there. The first line on it comes only where
# a script takes long, and says how many seconds it may still take: until then one process waits here
# and nothing else, since most scripts are done in less time than a "sleep" takes to start.
cb_guard() {
	exec >/dev/null 2>&1
	cb_clock= cb_line=
	trap '[ -z "$cb_clock" ] || kill -KILL "$cb_clock" "$cb_line"; exit 0' TERM
	if read -r cb_left <&3; then
		(
			while read -r cb_left; do :; done
			cb_gone
		) <&3 &
		cb_line=$!
		sleep "$cb_left" 3<&- &
		cb_clock=$!
		wait "$cb_clock"
		cb_end
	else
		cb_gone
	fi
}

# What is nearly done, such as a file half written, may come to its end.
cb_gone() {
	sleep 3 3<&-
	cb_end
}

# sshd gives each command a process group of its own; where that is not so, there is only the shell.
cb_end() {
	kill -0 $$ || exit 0
	kill -KILL -$$ || kill -KILL $$
}

exec 3<&0 </dev/null
cb_guard &
cb_guard=$!
exec 3<&-
