# Receives one file on standard input and puts it where it belongs. Sourced; then called as
# cb_receive MARK DEST NAME MODE DIGEST. Each line that it says begins with the mark.

cb_tell() {
	printf '\n%s %s %s\n' "$cb_mark" "$1" "$(printf %s "$2" | tr '\n\r' '  ')"
}

cb_refuse() {
	cb_tell refused "$1"
	exit 0
}

# Sets cb_sum to the digest of what is in a file.
cb_digest() {
	cb_sum=$(sha256sum <"$1" 2>/dev/null || shasum -a 256 <"$1" 2>/dev/null ||
		openssl dgst -sha256 -r <"$1" 2>/dev/null)
	cb_sum=${cb_sum%% *}
}

cb_same() {
	[ -f "$1" ] && [ ! -L "$1" ] && cb_digest "$1" && [ "$cb_sum" = "$2" ]
}

# Goes to the folder of what $1 means, and sets cb_name. Where the way there leads through a link,
# the folder's own path is another than the one that was written.
cb_go() {
	cd -P -- "${HOME:?}" || cb_refuse "its home cannot be entered"
	unset CDPATH
	cb_dest=$1
	case $cb_dest in
	'~') cb_dest=. ;;
	'~/'*) cb_dest=./${cb_dest#'~/'} ;;
	esac
	case $cb_dest in
	/* | ./*) ;;
	*) cb_dest=./$cb_dest ;;
	esac
	while [ "$cb_dest" != "${cb_dest%/}" ] && [ "$cb_dest" != / ]; do cb_dest=${cb_dest%/}; done
	if [ -L "$cb_dest" ]; then cb_refuse "$1 is a symbolic link"; fi
	if [ -d "$cb_dest" ]; then
		cb_folder=$cb_dest
	else
		case $1 in */) cb_refuse "there is no folder $1" ;; esac
		cb_folder=${cb_dest%/*} cb_name=${cb_dest##*/}
	fi
	cd -- "${cb_folder:-/}" 2>/dev/null || cb_refuse "there is no folder ${cb_folder:-/} that can be entered"
	[ "$(pwd -P)" = "$(pwd -L)" ] || cb_refuse "the way to $1 leads through a symbolic link"
	cb_file=./$cb_name
	if [ -L "$cb_file" ]; then cb_refuse "$cb_name is a symbolic link there"; fi
	if [ -e "$cb_file" ] && [ ! -f "$cb_file" ]; then cb_refuse "$cb_name is no regular file there"; fi
}

cb_receive() {
	cb_mark=$1 cb_name=$3 cb_mode=$4 cb_wanted=$5
	umask 077
	cb_go "$2"
	cb_path=$(pwd -P)
	cb_path=${cb_path%/}/$cb_name
	if cb_same "$cb_file" "$cb_wanted" && [ -n "$(find "$cb_file" -prune -perm "$cb_mode")" ]; then
		cb_tell same "$cb_path"
		exit 0
	fi
	# The name is too long with more before it than this.
	cb_part=./.clusterboot-$cb_mark
	trap 'rm -f "$cb_part"' EXIT
	# An operator who is gone hears nothing: no reason to die before the part is taken away.
	trap '' PIPE
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# What is there already, a link too, is never opened.
	set -C
	cb_said=$({ { cb_tell wanted >&5; cat >&4; } 4>"$cb_part"; } 2>&1) || cb_refuse "$cb_said"
	set +C
	cb_same "$cb_part" "$cb_wanted" || cb_refuse "what arrived is not what was sent"
	cb_said=$({ chmod "$cb_mode" "$cb_part" && { sync "$cb_part" 2>/dev/null || sync; } &&
		mv -f "$cb_part" "$cb_file"; } 2>&1) || cb_refuse "$cb_said"
	cb_same "$cb_file" "$cb_wanted" || cb_refuse "it changed while it was put into place"
	cb_tell copied "$cb_path"
	exit 0
}

# Beside the streams of what is tried; standard output.
exec 5>&1
