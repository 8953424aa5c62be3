#!/bin/sh
# ssh as a node of a local cluster has it: no network, but the same questions that ssh and sshd ask.
# The node's configuration says which key is offered and which host key is expected; a login works
# where the other home's authorized_keys takes that key from this address. $LOCAL_CLUSTER has a folder
# for each address, with the links "home" and "bin" and the file "host_key.pub".
config=$HOME/.ssh/config show=
while [ $# -gt 0 ]; do
  case $1 in
    -F) config=$2; shift 2;;
    -o) shift 2;;
    -G) show=yes; shift;;
    -*) shift;;
    *) break;;
  esac
done
target=$1
shift

# OpenSSH takes "~" and included files from the home that the system has for the user, not from $HOME.
flat=$(mktemp) && trap 'rm -f "$flat"' EXIT
while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    Include\ clusterboot/*) cat "$HOME/.ssh/${line#Include }";;
    *) printf '%s\n' "$line";;
  esac
done <"$config" | sed "s,~/,$HOME/," >"$flat"
settings=$("$REAL_SSH" -G -T -F "$flat" "$target") || exit 255
[ -z "$show" ] || { printf '%s\n' "$settings"; exit; }
setting() { printf '%s\n' "$settings" | sed -n "s/^$1 //p" | head -n 1; }

there=$LOCAL_CLUSTER/$(setting hostname)
[ -d "$there" ] || { echo "ssh: connect to host $target port 22: No route to host" >&2; exit 255; }
ssh-keygen -F "$(setting hostkeyalias)" -f "$(setting userknownhostsfile)" 2>/dev/null |
  grep -qF "$(cut -d ' ' -f 2 "$there/host_key.pub")" || { echo "Host key verification failed." >&2; exit 255; }

key=$(setting identityfile)
public=$(ssh-keygen -y -f "$key" 2>/dev/null | cut -d ' ' -f 2)
authorities=$([ ! -s "$key-cert.pub" ] || ssh-keygen -L -f "$key-cert.pub" | sed -n 's/.*Signing CA: [^ ]* \([^ ]*\).*/\1/p')
let_in() {
  while IFS= read -r line; do
    case $line in
      *cert-authority*)
        [ -n "$authorities" ] &&
          printf '%s\n' "$line" | sed 's/.*\(ssh-ed25519 \)/\1/' | ssh-keygen -l -f - | grep -qF "$authorities" &&
          return;;
      *"from=\""*"$ADDRESS"[,\"]*" $public "*) [ -z "$public" ] || return 0;;
    esac
  done <"$there/home/.ssh/authorized_keys"
  return 1
}
rm -f "$flat"
let_in || { echo "$target: Permission denied (publickey)." >&2; exit 255; }
exec env -i HOME="$(readlink -f "$there/home")" PATH="$there/bin:$PATH" sh -c "$*"
