newline='
'

# Tell whether process $1 belongs to run $2: ranks and ssh clients have the mark in their
# environment, an MPI's daemons on their command line. Pure text matching, because a grep
# would carry the mark on its own command line, and busybox's stops at a zero byte.
belongs() {
	case "$newline$(tr '\000' '\n' <"/proc/$1/environ")$newline" in
	*"${newline}CLUSTERBOOT_RUN=$2$newline"*) return 0 ;;
	esac
	case "$newline$(tr '\000' '\n' <"/proc/$1/cmdline")$newline" in
	*"${newline}clusterboot_run$newline$2$newline"*) return 0 ;;
	esac
	return 1
} 2>/dev/null

# Name the processes that are worth a look. One grep finds them on a node with thousands of
# processes; it takes the mark from its standard input, so that it does not carry it itself.
# Busybox's grep ends a line at a zero byte, so that there all processes have to be looked at.
candidates() {
	if printf 'a\000b\n' | grep -q b; then
		printf '%s\n' "$1" | LC_ALL=C grep -lF -f - /proc/[0-9]*/environ /proc/[0-9]*/cmdline
	else
		printf '%s\n' /proc/[0-9]*/environ
	fi
} 2>/dev/null

# Put this user's processes of run $1 into $marked.
find_marked() {
	marked=' '
	for process in $(candidates "$1"); do
		process=${process%/*}
		[ -O "$process" ] || continue
		process=${process#/proc/}
		case "$marked" in
		*" $process "*) continue ;;
		esac
		if [ "$process" != "$$" ] && belongs "$process" "$1"; then
			marked="$marked$process "
		fi
	done
	marked=${marked# }
}

# Note in $folders where process $1 has an Open MPI's files of its run: what it has mapped, and what its
# environment says. Sources: orte/util/session_dir.c of Open MPI 4, TMPDIR/ompi.HOST.UID/jf.N with a
# folder a run; src/util/session_dir.c of PRRTE, TMPDIR/TOOL.HOST.PID.UID with one a daemon.
note_folders() {
	set -f
	for noted in $({
		cat "/proc/$1/maps"
		tr '\000' '\n' <"/proc/$1/environ" | grep -e ^PMIX_SERVER_TMPDIR= -e ^OMPI_FILE_LOCATION=
	} | sed -n \
		-e "s,^[^/]*\\(/[^ ]*/ompi\\.[^/ ]*\\.$uid/[^/ ][^/ ]*\\).*,\\1,p" \
		-e "s,^[^/]*\\(/[^ ]*/prte[a-z]*\\.[^/ ]*\\.[0-9]*\\.$uid\\).*,\\1,p" | sort -u); do
		case "$newline$folders$newline" in
		*"$newline$noted$newline"*) ;;
		*) folders="$folders$newline$noted" ;;
		esac
	done
	set +f
} 2>/dev/null

# Take away what was noted, where it is this user's and no link leads there: who was killed could not.
clear_folders() (
	set -f
	for noted in $folders; do
		case "$noted" in
		*/../* | */./* | */.. | */.) continue ;;
		esac
		top=${noted%/*}
		case "${top##*/}" in
		ompi.*) [ -O "$top" ] && [ ! -L "$top" ] || continue ;;
		esac
		[ -d "$noted" ] && [ -O "$noted" ] && [ ! -L "$noted" ] || continue
		rm -rf "$noted"
		case "${top##*/}" in
		ompi.*) rmdir "$top" ;;
		esac
	done
) 2>/dev/null

# Kill every process of run $1 on this node; $killed and $left say which, by process id.
sweep() {
	killed= left= folders=
	uid=$(id -u)
	kill_marked "$1"
	[ -n "$left" ] || clear_folders
}

kill_marked() {
	for round in 1 2 3 4 5; do
		find_marked "$1"
		[ -n "$marked" ] || return 0
		for process in $marked; do
			note_folders "$process"
			kill -KILL "$process" 2>/dev/null || continue
			case " $killed " in
			*" $process "*) ;;
			*) killed="$killed $process" ;;
			esac
		done
		[ "$round" -eq 1 ] || sleep 1
	done
	find_marked "$1"
	left=$marked
}
