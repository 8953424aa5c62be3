# Who changes this cluster on this node, or measures: one line in a file of the cluster's own folder, "ID
# WHAT WHO FROM". It stays from a command's first write to its last, where the lock of install.sh is held for
# single ones. Prints "changing taken", or "changing held AGE_S ID WHAT WHO FROM".

# cb_claim FOLDER FILE ID LONGEST_S WHAT WHO
cb_claim() {
  [ -d "$1" ] || exit 0
  cb_lock
  cb_claimed=$1/$2
  if [ -e "$cb_claimed" ] || [ -L "$cb_claimed" ]; then
    cb_line=
    if [ -f "$cb_claimed" ] && [ ! -L "$cb_claimed" ]; then
      cb_line=$(head -c 400 "$cb_claimed" | head -n 1)
    fi
    # A file's age by this node's clock alone. Who can neither say when nor by whom holds nothing.
    cb_age=$(($(date +%s) - $(stat -c %Y "$cb_claimed" 2>/dev/null || echo 0)))
    case $cb_line in
      "$3 "* | '') ;;
      # Two of these add to each other's work, write by write.
      *" bootstrap "*) [ "$5" != bootstrap ] || exit 0 ;;
    esac
    case $cb_line in
      "$3 "* | '') ;;
      *) [ "$cb_age" -ge "$4" ] || { echo "changing held $cb_age $cb_line"; exit 0; } ;;
    esac
    rm -rf "$cb_claimed"
  fi
  cb_from=${SSH_CONNECTION:-?}
  if printf '%s %s %s %s\n' "$3" "$5" "$6" "${cb_from%% *}" 2>/dev/null >"$1/.$2.clusterboot-new" &&
    mv -f "$1/.$2.clusterboot-new" "$cb_claimed"; then
    echo 'changing taken'
  else
    rm -f "$1/.$2.clusterboot-new"
  fi
  exit 0
}

# cb_release FOLDER FILE ID
cb_release() {
  [ -f "$1/$2" ] || exit 0
  cb_lock
  case $(head -c 400 "$1/$2") in "$3 "*) rm -f "$1/$2";; esac
  exit 0
}
