# What runs here of run $1: a line "process PID STATE TICKS RANK" for each of its processes that
# is a rank's program. TICKS is the processor time it has used. An MPI says which rank a process is in
# its environment, each in a variable of its own; the shell that waits for the program has that too.
list_ranks() {
	find_marked "$1"
	for process in $marked; do
		environment=$(tr '\000' '\n' <"/proc/$process/environ")
		case "$newline$environment$newline" in
		*"${newline}CLUSTERBOOT_PROGRAM=1$newline"*) ;;
		*) continue ;;
		esac
		number=$(printf '%s\n' "$environment" | sed -n RANK_NUMBER)
		[ -n "$number" ] || continue
		number=${number%%"$newline"*}
		IFS= read -r stat <"/proc/$process/stat" || continue
		# The name stands before the last bracket, and may have spaces in it.
		set -- "$1" ${stat##*) }
		printf 'process %s %s %s %s\n' "$process" "$2" "$((${13} + ${14}))" "$number"
	done
} 2>/dev/null
