# Changes files of the user on one node: each under a lock, against the bytes that were
# read before, written beside and renamed. Sourced functions; the plan's calls follow.
# Every call prints one line: "file PATH changed|raced|failed TEXT".

umask 077
cb_waited_max=${cb_waited_max:-60}
cb_silence_max=${cb_silence_max:-45}
cb_base=$HOME/.ssh

# Tests kill the writer at a named step; the variable is set nowhere else.
cb_at() {
  if [ "${CLUSTERBOOT_FAULT:-}" = "$1" ]; then
    kill -9 $$ "$cb_me" "$(exec sh -c 'echo "$PPID"')"
  fi
}

# The process that holds the lock is this subshell, not the shell that reads the script. Here and
# below, what a shell reads by itself costs no process: those are what a change's time goes to.
cb_identify() {
  cb_me=
  read -r cb_me cb_stat 2>/dev/null </proc/self/stat || cb_me=$(exec sh -c 'echo "$PPID"')
  [ -n "${cb_where:-}" ] || cb_place
  cb_started "$cb_me"
  cb_owner="$cb_me.$cb_start.$cb_where"
}

cb_place() {
  cb_boot='' cb_machine='' cb_host=''
  read -r cb_boot 2>/dev/null </proc/sys/kernel/random/boot_id
  read -r cb_machine 2>/dev/null </etc/machine-id
  read -r cb_host 2>/dev/null </proc/sys/kernel/hostname || cb_host=$(uname -n)
  cb_space=$(readlink /proc/self/ns/pid 2>/dev/null)
  cb_space=${cb_space#*[} cb_space=${cb_space%]}
  cb_where=
  for cb_word in "$cb_boot" "$cb_space" "$cb_machine"; do
    case $cb_word in '' | *[!0-9a-f-]*) cb_word=0;; esac
    cb_where=$cb_where$cb_word.
  done
  cb_where=$cb_where$cb_host
}

# Sets cb_start to when a process began, in the kernel's ticks, or to 0: a number that is used
# again is another process. Source: proc_pid_stat(5); the name in brackets may have blanks in it.
cb_started() {
  cb_start=0 cb_stat=
  read -r cb_stat 2>/dev/null <"/proc/$1/stat"
  # shellcheck disable=SC2086
  set -- ${cb_stat##*) }
  [ $# -lt 20 ] || cb_start=${20}
}

# Is the owner that this file's name tells of gone for certain? A process of this machine is looked
# for; another boot of this machine ended all of its own; of other machines nothing is known here.
cb_is_gone() {
  cb_pid=${1%%.*} cb_rest=${1#*.}
  cb_when=${cb_rest%%.*} cb_rest=${cb_rest#*.}
  if [ "$cb_rest" = "$cb_where" ]; then
    [ ! -d /proc/self ] && return 1
    cb_started "$cb_pid"
    [ "$cb_start" != "$cb_when" ]
  else
    cb_that_boot=${cb_rest%%.*} cb_that_machine=${cb_rest#*.*.}
    [ "$cb_that_machine" = "${cb_where#*.*.}" ] && [ "$cb_that_boot" != "${cb_boot:-0}" ]
  fi
}

# First a queue, where there is flock(1) and the file system has it; then, since machines that
# share a home may see different locks, a folder with one file in it that names the owner.
# To take over from a dead one is to remove that very file: only one of several can.
cb_lock() {
  cb_identify
  cb_lockdir="$cb_base/.clusterboot.lock"
  cb_waited=0 cb_silent=0 cb_before=
  if command -v flock >/dev/null 2>&1 && [ -r "$cb_base" ] && exec 9<"$cb_base"; then
    flock -w "$cb_waited_max" 9 2>/dev/null
    # Any status but that of a wait in vain says that there are no such locks here.
    if [ $? -eq 1 ]; then cb_waited=$((cb_waited_max * 5)); fi
  fi
  until cb_take; do
    set -- "$cb_lockdir"/*
    cb_seen=${1##*/}
    if [ "$cb_seen" = '*' ]; then
      # Empty: between two steps of somebody's, or of somebody who was killed between them.
      rmdir "$cb_lockdir" 2>/dev/null
    elif cb_is_gone "$cb_seen" || [ "$cb_silent" -ge "$((cb_silence_max * 5))" ]; then
      rm "$cb_lockdir/$cb_seen" 2>/dev/null && rmdir "$cb_lockdir" 2>/dev/null
      continue
    fi
    if [ "$cb_seen" = "$cb_before" ]; then cb_silent=$((cb_silent + 1)); else cb_silent=0; fi
    cb_before=$cb_seen
    if [ "$cb_waited" -ge "$((cb_waited_max * 5))" ]; then
      echo "lock failed held by process ${cb_seen%%.*} on ${cb_seen##*.}$([ ! -f "$cb_lockdir/$cb_seen" ] || head -c 200 "$cb_lockdir/$cb_seen" 2>/dev/null)"
      exit 75
    fi
    cb_waited=$((cb_waited + 1))
    sleep 0.2 2>/dev/null || { sleep 1; cb_waited=$((cb_waited + 4)) cb_silent=$((cb_silent + 4)); }
  done
  # What a writer left that was killed; the lock is held, so none is at work.
  cb_clear "$cb_base"/.*.clusterboot-new
  trap 'cb_unlock' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  cb_at locked
}

cb_take() {
  if ! cb_said=$(mkdir "$cb_lockdir" 2>&1); then
    case $cb_said in *exists*) return 1;; esac
    echo "lock failed $cb_said"
    exit 75
  fi
  cb_at lock-made
  cb_from=${SSH_CONNECTION:-}
  # The name is all that the lock needs; on a full disk there is room for no more than that.
  if ! printf '%s' "${cb_from:+ for a login from ${cb_from%% *}}" 2>/dev/null >"$cb_lockdir/$cb_owner" &&
    ! cb_said=$(touch "$cb_lockdir/$cb_owner" 2>&1); then
    # Somebody took the folder for an abandoned one; else it is the disk, or a quota.
    case $cb_said in *"No such file"*) return 1;; esac
    rmdir "$cb_lockdir" 2>/dev/null
    echo "lock failed $cb_said"
    exit 75
  fi
  set -- "$cb_lockdir"/*
  # Somebody took the folder for an abandoned one: then both step back.
  if [ "$#" -ne 1 ]; then
    rm -f "$cb_lockdir/$cb_owner"
    return 1
  fi
}

# The renames themselves reach the disk before the lock goes.
cb_unlock() {
  cb_sync "$cb_base" ${cb_folder:+"$cb_folder"}
  cb_at unlocking
  rm -f "$cb_lockdir/$cb_owner"
  rmdir "$cb_lockdir" 2>/dev/null
}

# cb_is PATH DIGEST: is that in it? A file that is not there has the digest "absent".
cb_is() {
  cb_digest "$1" && [ "$cb_sum" = "$2" ]
}

# Sets cb_sum to the digest of what is in a file.
cb_digest() {
  cb_sum=absent
  [ ! -e "$1" ] || { cb_sum=$(sha256sum <"$1") && cb_sum=${cb_sum%% *}; }
}

# Sets cb_file to what PATH means: itself, or what the user's own link leads to in the own home.
cb_resolve() {
  cb_file="$HOME/$1"
  [ ! -L "$cb_file" ] || cb_file=$(readlink -f "$cb_file") || return 1
  cb_folder=${cb_file%/*}
  if [ -e "$cb_file" ] && { [ ! -f "$cb_file" ] || [ ! -O "$cb_file" ]; }; then return 1; fi
  cb_new="$cb_folder/.${cb_file##*/}.clusterboot-new"
  cb_clear "$cb_new"
}

# rm -f, where there is anything.
cb_clear() {
  for cb_word in "$@"; do
    if [ -e "$cb_word" ] || [ -L "$cb_word" ]; then rm -f "$cb_word"; fi
  done
}

# Owner, mode, extended attributes, context: GNU cp(1) copies them without the content.
cb_like() {
  cp -a --attributes-only "$1" "$2" 2>/dev/null || cp -p "$1" "$2"
}

cb_sync() {
  sync "$@" 2>/dev/null || sync
}

# The new content comes on standard input, made from the old by the caller's own command.
# cb_replace PATH OLD_DIGEST NEW_DIGEST
cb_replace() {
  if ! cb_resolve "$1" || ! cb_is "$cb_file" "$2"; then
    cat >/dev/null
    echo "file $1 raced"
    return 1
  fi
  cb_at "begun:$1"
  if cb_said=$(cb_beside "$2" 2>&1 9<&-) && cb_at "beside:$1" &&
    cb_said=$(cb_fill 2>&1 9<&-) && cb_at "written:$1" &&
    cb_is "$cb_new" "$3" && cb_sync "$cb_new" && cb_at "synced:$1" &&
    cb_is "$cb_file" "$2" &&
    cb_said=$(mv -f "$cb_new" "$cb_file" 2>&1) && cb_at "renamed:$1" &&
    cb_is "$cb_file" "$3"; then
    echo "file $1 changed"
  else
    rm -f "$cb_new"
    echo "file $1 failed $(printf %s "$cb_said" | tr '\n\r' '  ' | tail -c 300)"
    return 1
  fi
}

# cb_beside OLD_DIGEST: the empty file that the new content goes to
cb_beside() {
  if [ "$1" = absent ]; then
    # Made under umask 077.
    : >"$cb_new"
  else
    cb_like "$cb_file" "$cb_new"
  fi
}

# A file of mode 0400 is the user's own choice; its successor is writable while it is written.
cb_fill() {
  if [ -w "$cb_new" ]; then
    cat >"$cb_new"
  else
    chmod u+w "$cb_new" && cat >"$cb_new" && chmod u-w "$cb_new"
  fi
}

# cb_remove PATH OLD_DIGEST
cb_remove() {
  if ! cb_resolve "$1" || ! cb_is "$cb_file" "$2"; then
    echo "file $1 raced"
    return 1
  fi
  cb_at "removing:$1"
  if cb_said=$(rm -f "$cb_file" 2>&1); then
    echo "file $1 changed"
  else
    echo "file $1 failed $(printf %s "$cb_said" | tr '\n\r' '  ')"
  fi
}

# cb_note FOLDER PATH: remember, before it is made, that PATH is made by clusterboot
cb_note() {
  cb_made=
  if [ -e "$1/created" ]; then
    [ -f "$1/created" ] || { echo "file $2 failed $1/created is no regular file"; exit 0; }
    grep -qxF "$2" "$1/created" 2>/dev/null && return 0
    cb_made=$1/created
  fi
  # A shell's own echo cannot say that the disk is full; cat(1) can.
  cb_said=$(echo "$2" | { cat ${cb_made:+"$cb_made"} - >"$1/created.new"; } 2>&1) &&
    mv -f "$1/created.new" "$1/created" && return 0
  echo "file $2 failed $cb_said"
  exit 0
}

# cb_keep PATH OFFSET LENGTH: a range of the old file's bytes
cb_keep() {
  if [ "$2" -eq 0 ]; then
    head -c "$3" "$HOME/$1"
  else
    tail -c "+$(($2 + 1))" "$HOME/$1" | head -c "$3"
  fi
}
