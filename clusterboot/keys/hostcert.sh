# One machine's sshd given a host certificate, or rid of it. Root's part; it follows install.sh.
# The caller has set: cb_name the cluster, cb_alias the node's name, cb_authority the CA's public
# key, cb_text the certificate (empty: the one that is there); $1 is the login's SSH_CONNECTION,
# $2 its user. The last word is one line: "certificate STATE REASON".

cb_cert=/etc/ssh/clusterboot-$cb_name-cert.pub
cb_dropin=/etc/ssh/sshd_config.d/60-clusterboot-$cb_name.conf
cb_tag="# clusterboot:$cb_name, removed by clusterboot teardown"
cb_line="HostCertificate $cb_cert"
cb_user=$2
# A user's cluster of this name is not another user's: each has an authority of their own.
cb_owned="# for $cb_user"
cb_mark="$cb_owned
# in effect"
# shellcheck disable=SC2086
set -- $1
cb_address=$3 cb_port=$4

cb_end() {
  echo "certificate $1 $(printf %s "$2" | tr '\n\r' '  ' | tail -c 300)"
  exit 0
}

# The inodes of the sockets that listen on the port that this very login came in by: proc_net(5).
cb_listening() {
  cb_hex=$(printf %04X "$cb_port")
  for cb_table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$cb_table" ] || continue
    while read -r _ cb_local _ cb_state _ _ _ _ _ cb_inode _; do
      case $cb_state:$cb_local in 0A:*:"$cb_hex") echo "$cb_inode";; esac
    done <"$cb_table"
  done
}

# Sets cb_daemon to the sshd that listens there, and to nothing where each login starts an sshd of
# its own; cb_sshd to its program, cb_main to its configuration.
cb_find() {
  cb_sockets=$(cb_listening)
  cb_daemon=
  # shellcheck disable=SC2010
  for cb_one in $(ls -l /proc/[0-9]*/exe 2>/dev/null |
    sed -n 's,.*/proc/\([0-9]*\)/exe -> .*/sshd\( (deleted)\)\{0\,1\}$,\1,p'); do
    cb_held=$(ls -l "/proc/$cb_one/fd" 2>/dev/null)
    for cb_socket in $cb_sockets; do
      case $cb_held in *"socket:[$cb_socket]"*) cb_daemon=$cb_one; break 2;; esac
    done
  done
  cb_sshd=$(command -v sshd) cb_words=
  if [ -n "$cb_daemon" ]; then
    cb_exe=$(readlink "/proc/$cb_daemon/exe")
    [ ! -x "$cb_exe" ] || cb_sshd=$cb_exe
    cb_words=$(tr '\0' ' ' <"/proc/$cb_daemon/cmdline" | sed 's/^sshd: //; s/ \[listener\].*//; s/^[^ ]* *//')
  fi
  cb_main=$(printf ' %s' "$cb_words" | sed -n 's/.* -f *\([^ ]*\).*/\1/p')
  cb_main=${cb_main:-/etc/ssh/sshd_config}
  [ -n "$cb_sshd" ] && [ -r "$cb_main" ]
}

# Where sshd's configuration takes in the folder for such pieces, a piece of our own is put there;
# elsewhere two lines go to the top, where nothing can have narrowed what they are for.
cb_takes_pieces() {
  [ -d "${cb_dropin%/*}" ] && sed '/^[[:space:]]*[Mm][Aa][Tt][Cc][Hh][[:space:]]/,$d' "$cb_main" |
    grep -qiE '^[[:space:]]*include[[:space:]=].*/etc/ssh/sshd_config\.d/\*\.conf'
}

cb_configured() {
  { cb_takes_pieces && grep -qxF "$cb_line" "$cb_dropin"; } 2>/dev/null || grep -qxF "$cb_line" "$cb_main"
}

cb_is_there() {
  [ "$(head -n 1 "$cb_cert" 2>/dev/null)" = "$cb_text" ] && cb_configured &&
    [ "$(tail -n +2 "$cb_cert")" = "$cb_mark" ]
}

cb_is_anothers() {
  cb_for=$(sed -n 's/^# for //p' "$cb_cert" 2>/dev/null)
  [ -n "$cb_for" ] && [ "$cb_for" != "$cb_user" ]
}

cb_lines() { printf '%s\n' "$cb_tag" "$cb_line"; }
cb_lines_on_top() { cb_lines && cat "$cb_main"; }
cb_without_lines() { sed -e "\\%^$cb_tag\$%d" -e "\\%^$cb_line\$%d" "$cb_main"; }
cb_certificate() { printf '%s\n' "$cb_text" "$cb_owned"; }
cb_marked_certificate() { printf '%s\n' "$cb_text" "$cb_mark"; }

# cb_write FUNCTION PATH MODE: what the function prints becomes the file
cb_write() {
  # What cannot be said whole is not written.
  cb_told=$("$1" 2>&1 >/dev/null) || return 1
  cb_want=$("$1" | sha256sum)
  cb_digest "$2"
  cb_told=$("$1" | HOME='' cb_replace "${2#/}" "$cb_sum" "$3" "${cb_want%% *}")
  case $cb_told in *" changed") return 0;; *) cb_told=${cb_told#file * }; return 1;; esac
}

cb_configure() {
  if cb_takes_pieces; then cb_write cb_lines "$cb_dropin" 644; else cb_write cb_lines_on_top "$cb_main" 600; fi
}

cb_unconfigure() {
  rm -f "$cb_dropin"
  ! grep -qxF "$cb_line" "$cb_main" || cb_write cb_without_lines "$cb_main" 600
}

# Is none of the sockets before there any more, and as many new ones, for each family of addresses?
cb_renewed() {
  cb_now=$(cb_listening)
  for cb_socket in $cb_before; do
    case " $(echo $cb_now) " in *" $cb_socket "*) return 1;; esac
  done
  [ -n "$cb_now" ] && [ "$(echo $cb_now | wc -w)" -ge "$(echo $cb_before | wc -w)" ]
}

# sshd begins anew under the same number: it closes its socket, reads everything, and listens again.
cb_reload() {
  [ -n "$cb_daemon" ] || return 0
  cb_before=$(cb_listening)
  kill -HUP "$cb_daemon" || return 1
  cb_tries=0
  until cb_renewed; do
    cb_tries=$((cb_tries + 1))
    [ "$cb_tries" -lt 200 ] || return 1
    sleep 0.05 2>/dev/null || { sleep 1; cb_tries=$((cb_tries + 19)); }
  done
}

# Does sshd show a certificate that vouches for this node, to somebody who knows the CA alone? That no
# authentication is tried, and so refused, comes after the host is believed.
cb_prove() {
  cb_known=$cb_base/.known.clusterboot-new
  printf '@cert-authority * %s\n' "$cb_authority" >"$cb_known"
  cb_said=$(ssh -F /dev/null -n -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$cb_known" \
    -o GlobalKnownHostsFile=/dev/null -o "HostKeyAlias=$cb_alias" -o PreferredAuthentications=none \
    -o ConnectTimeout=10 -o ControlPath=none -p "$cb_port" \
    -l "$cb_user" "$cb_address" true 2>&1)
  rm -f "$cb_known"
  cb_at proven
  case $cb_said in *"Permission denied"*) return 0;; *) return 1;; esac
}

# Back to what was before, sshd included.
cb_undo() {
  [ -n "$cb_was_configured" ] || cb_unconfigure
  if [ -n "$cb_old_text" ]; then
    cb_text=$cb_old_text
    cb_write cb_certificate "$cb_cert" 644
  else
    rm -f "$cb_cert"
  fi
  [ -n "${cb_reloaded:-}" ] || return 0
  cb_reload && return 0
  # It did not come back: it is started as it was.
  # shellcheck disable=SC2086
  [ -n "$(cb_listening)" ] || "$cb_sshd" $cb_words
  [ -n "$(cb_listening)" ]
}

cb_fail() {
  if cb_undo; then cb_end failed "$1"; else cb_end lost "$1"; fi
}

cb_install() {
  cb_find || cb_end none "sshd's configuration was not found"
  ! cb_is_anothers || cb_end none "the user $cb_for has a certificate for a cluster of this name there"
  if [ -z "$cb_text" ]; then cb_text=$(head -n 1 "$cb_cert" 2>/dev/null); fi
  cb_foreign=$("$cb_sshd" -T -f "$cb_main" -C user=root,host=localhost,addr=127.0.0.1 2>/dev/null |
    sed -n 's/^hostcertificate //p' | grep -vxF "$cb_cert")
  # A host key has one certificate, and who trusts the site's CA needs that one.
  [ -z "$cb_foreign" ] || cb_end none "sshd has host certificates of the site's own there"
  if cb_is_there; then
    # The lock of one who was killed as all was done.
    if [ "$1" = install ] && [ -e "$cb_base/.clusterboot.lock" ]; then cb_lock; fi
    cb_end kept
  fi
  [ "$1" = install ] || cb_end possible
  cb_lock
  cb_old_text=$(head -n 1 "$cb_cert" 2>/dev/null)
  cb_was_configured=
  if cb_configured; then cb_was_configured=1; fi
  cb_write cb_certificate "$cb_cert" 644 || cb_fail "$cb_cert could not be written: $cb_told"
  if [ -z "$cb_was_configured" ]; then
    # All of it is tried before any of it is in place.
    cb_trial=/etc/ssh/.trial.clusterboot-new
    cb_lines_on_top >"$cb_trial"
    cb_at trial
    cb_said=$("$cb_sshd" -t -f "$cb_trial" 2>&1)
    cb_status=$?
    rm -f "$cb_trial"
    [ "$cb_status" = 0 ] || cb_fail "sshd refuses the configuration with it: $cb_said"
    cb_configure || cb_fail "sshd's configuration could not be written: $cb_told"
    cb_at configured
    cb_said=$("$cb_sshd" -t -f "$cb_main" 2>&1) || cb_fail "sshd refuses the configuration with it: $cb_said"
  fi
  cb_reloaded=1
  cb_reload || cb_fail "sshd did not come back after it read its configuration anew"
  cb_at reloaded
  cb_prove || cb_fail "sshd does not show the certificate: $cb_said"
  cb_write cb_marked_certificate "$cb_cert" 644 || cb_fail "$cb_cert could not be written: $cb_told"
  cb_end installed
}

cb_remove_all() {
  cb_find || cb_end failed "sshd's configuration was not found"
  ! cb_is_anothers || cb_end kept
  if [ ! -e "$cb_cert" ] && ! cb_configured && ! cb_is_left; then cb_end kept; fi
  cb_lock
  if cb_configured; then
    cb_unconfigure || cb_end failed "sshd's configuration could not be written: $cb_told"
    cb_at unconfigured
  fi
  rm -f "${cb_dropin%/*}/.${cb_dropin##*/}.clusterboot-new"
  if [ -e "$cb_cert" ]; then
    # Also where that was taken out already: sshd may not have been told before the end came.
    cb_reload || cb_end lost "sshd did not come back after it read its configuration anew"
    cb_at unloaded
    rm -f "$cb_cert"
  fi
  cb_end removed
}

# What one left who was killed; to take the lock, and to let go of it, is to sweep.
cb_is_left() {
  for cb_one in /etc/ssh/.*.clusterboot-new /etc/ssh/.clusterboot.lock "${cb_dropin%/*}"/.*.clusterboot-new; do
    [ ! -e "$cb_one" ] || return 0
  done
  return 1
}
