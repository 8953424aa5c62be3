# One rank: its program, waited for, so that the node has its own word on an end that was not good.
# Goes to a launcher as one line, without these comments; cb_mark, cb_ends and cb_rank stand before it.
cb_say() { [ -z "$cb_mark" ] || [ "$cb_rank" != 0 ] || printf '%s\n' "$cb_mark"; };
cb_say;
CLUSTERBOOT_PROGRAM=1 "$0" "$@";
cb_code=$?;
cb_say;
[ "$cb_code" -eq 0 ] || echo "$cb_rank $cb_code" >>"$HOME/$cb_ends.$(uname -n | tr -cd A-Za-z0-9.-)";
# The launcher is to see the same end: those signals that end a process.
ulimit -c 0;
case $((cb_code - 128)) in [1-9]|1[0-5]|24) kill -$((cb_code - 128)) $$;; esac;
exit $cb_code
