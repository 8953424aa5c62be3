# Changes files of the user on one node: each under a lock, against the bytes that were
# read before, written beside and renamed. Sourced functions; the plan's calls follow.
# Every call prints one line: "file PATH changed|raced|failed TEXT".

umask 077

# A lock that needs no file of its own: the .ssh folder. Where flock is missing or the file
# system refuses it, a folder made atomically, which names its owner.
cb_lock() {
  if command -v flock >/dev/null 2>&1 && exec 9<"$HOME/.ssh" && flock -w 30 9 2>/dev/null; then
    return 0
  fi
  cb_lockdir="$HOME/.ssh/.clusterboot.lock"
  cb_try=0
  until mkdir "$cb_lockdir" 2>/dev/null; do
    cb_try=$((cb_try + 1))
    if [ "$cb_try" -gt 30 ]; then
      echo "lock failed held by $(cat "$cb_lockdir/owner" 2>/dev/null)"
      exit 75
    fi
    sleep 1
  done
  echo "$(uname -n) $$" >"$cb_lockdir/owner"
  trap 'rm -rf "$cb_lockdir"' EXIT
}

cb_digest() {
  if [ -e "$1" ]; then
    cb_sum=$(sha256sum <"$1") && echo "${cb_sum%% *}"
  else
    echo absent
  fi
}

# The new content comes on standard input, made from the old by the caller's own command.
# cb_replace PATH OLD_DIGEST MODE NEW_DIGEST
cb_replace() {
  cb_file="$HOME/$1"
  if [ -L "$cb_file" ]; then cb_file=$(readlink -f "$cb_file"); fi
  cb_new="$cb_file.clusterboot.$$"
  if [ "$(cb_digest "$cb_file")" != "$2" ]; then
    cat >/dev/null
    echo "file $1 raced"
    return 1
  fi
  if { [ "$2" = absent ] || cp -p "$cb_file" "$cb_new"; } &&
    cat >"$cb_new" &&
    { [ "$2" != absent ] || chmod "$3" "$cb_new"; } &&
    [ "$(cb_digest "$cb_new")" = "$4" ] &&
    { sync "$cb_new" 2>/dev/null || sync; } &&
    [ "$(cb_digest "$cb_file")" = "$2" ] &&
    mv -f "$cb_new" "$cb_file"; then
    echo "file $1 changed"
  else
    rm -f "$cb_new"
    echo "file $1 failed it could not be written"
    return 1
  fi
}

# cb_remove PATH OLD_DIGEST
cb_remove() {
  if [ "$(cb_digest "$HOME/$1")" != "$2" ]; then
    echo "file $1 raced"
    return 1
  fi
  rm -f "$HOME/$1" && echo "file $1 changed"
}

# cb_keep PATH OFFSET LENGTH: a range of the old file's bytes
cb_keep() {
  tail -c "+$(($2 + 1))" "$HOME/$1" | head -c "$3"
}
