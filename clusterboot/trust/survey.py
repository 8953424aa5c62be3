"""What each node is, and what of keys is there already: asked of all at once, in one round trip."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterboot.errors import PartialError
from clusterboot.facts import collect
from clusterboot.facts.node import NodeFacts
from clusterboot.inventory.cluster import Cluster
from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question, both
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.nodes.sessions import Session
from clusterboot.printable import one_line
from clusterboot.session.visit import Visit
from clusterboot.ssh.knownhosts import key_type_of

from .homes import changing, install
from .homes.known import Edit, FileKind, NodeFile, NodeKey, Survey

_FILES = {
    "authorized_keys": ".ssh/authorized_keys",
    "config": ".ssh/config",
    "own_config": "{own}/config",
    "own_known_hosts": "{own}/known_hosts",
}
_OWN_FILES = ("own_config", "own_known_hosts")
# More than any of these files is for a thousand nodes; four of them fit into one answer.
_MOST_BYTES = 3 * 1024 * 1024
_PUBLIC_KEY = re.compile(r"(ssh-ed25519) ([A-Za-z0-9+/]+=*)(?: .*)?")

# The key in use is the one that the node's configuration names; its successor is numbered. Nodes
# that share a home may all be here at once: the key is made aside, and ln(1), which never
# replaces a file, lets exactly one of them put it in place. Processes are what a survey costs:
# what a shell can do by itself it does. It reads byte by byte, though, and the configuration of a
# thousand nodes is long, with the key at its end.
_KEY_NAMES = """k=
for f in "$d"/*; do
  # To open anything else may take for ever, and to read it has no end.
  if [ -f "$f" ] || [ -d "$f" ] || [ ! -e "$f" ] || [ "$f" = "$d/changing" ]; then continue; fi
  echo "odd ${f#"$HOME"/}"
  exit 1
done
[ ! -s "$d/config" ] ||
  k=$(head -c @MOST@ "$d/config" | sed -n 's,^  IdentityFile .*/\\(id_ed25519[-0-9]*\\)$,\\1,p' 2>/dev/null)
k=${k%%[!a-z0-9_-]*}
if [ -z "$k" ]; then
  k=id_ed25519 m=0
  for f in "$d"/id_ed25519-*; do
    f=${f##*/id_ed25519-}
    case $f in ''|0*|*[!0-9]*|??????*) ;; *) [ "$f" -le $m ] || { m=$f; k=id_ed25519-$m; };; esac
  done
fi
case $k in *-*) n=$((${k##*-} + 1));; *) n=2;; esac
n=id_ed25519-$n
"""
_MAKE_KEY = """umask 077
cb_said=
give_up() { echo "failed $(printf %s "$cb_said" | tr '\\n\\r' '  ' | tail -c 300)"; exit 1; }
[ -d "$HOME/.ssh" ] || fresh=1
if [ -L "$HOME/.ssh" ]; then
  case "$(readlink -f "$HOME/.ssh")/" in
    "$(cd "$HOME" && pwd -P)"/*) ;;
    *) cb_said="$HOME/.ssh is a link that leaves the home"; give_up;;
  esac
fi
[ -d "$d" ] || cb_said=$(mkdir -p "$HOME/.ssh" "$d" 2>&1) || give_up
[ -z "$fresh" ] || cb_said=$(echo .ssh 2>&1 >>"$d/created") || give_up
make_aside() {
  t=$(mktemp -d "$d/new.XXXXXX") || return 1
  ssh-keygen -q -t ed25519 -N '' -C @COMMENT@ -f "$t/$1" </dev/null &&
    ln "$t/$1" "$d/$1" && mv "$t/$1.pub" "$d/$1.pub"
  cb_rc=$?
  rm -rf "$t"
  return $cb_rc
}
make_key() {
  [ ! -e "$d/$1" ] || return 0
  if cb_said=$(make_aside "$1" 2>&1); then echo created; else [ -s "$d/$1" ] || give_up; fi
}
"""
_SHOW_KEYS = """first_line() {
  l=$(head -c 16384 "$1" | head -n 1)
  [ -z "$l" ] || printf '%s\\n' "$l"
}
show_key() {
  [ -e "$d/$2" ] || return 0
  echo "$1 $2"
  if [ -s "$d/$2.pub" ]; then first_line "$d/$2.pub"; else ssh-keygen -y -f "$d/$2" </dev/null; fi
  if [ -s "$d/$2-cert.pub" ]; then first_line "$d/$2-cert.pub"; fi
}
show_key current "$k"
show_key next "$n"
for f in "$d"/id_*; do
  f=${f##*/}
  case ${f#id_} in *[!a-z0-9.-]*) ;; *) echo "file $f";; esac
done
echo "port ${SSH_CONNECTION##* }"
exit 0
"""

# One cat(1) for all of them.
_SHOW_HOST_KEYS = """set --
for f in /etc/ssh/ssh_host_*_key.pub; do
  [ ! -e "$f" ] || [ -f "$f" ] || { echo "odd $f"; exit 1; }
  [ ! -r "$f" ] || set -- "$@" "$f"
done
[ $# -eq 0 ] || cat "$@" | head -c 262144
exit 0
"""

# The first word says what is there; the content follows from the next line on, untouched. A
# file that cannot be changed is still read: where nothing has to change, that is no fault.
# Only a link that stays in the own home is followed. Mode 0400 is a choice, and no obstacle.
_SHOW_FILE = """f="$HOME/"{path} t=
if [ -L "$f" ] || [ -L "${{f%/*}}" ]; then
  h=$(cd "$HOME" && pwd -P)
  t=$(readlink -f "$f" 2>/dev/null)
  case "$t" in
    "$h"/*) [ ! -L "$f" ] || [ -e "$t" ] || {{ echo "unusable a link to nothing"; exit; }};;
    *) echo "unusable a link that leaves the home"; exit;;
  esac
fi
t=${{t:-$f}}
if [ ! -e "$f" ]; then w=absent
elif [ -d "$f" ]; then echo "unusable a directory"; exit
elif [ -p "$f" ]; then echo "unusable a FIFO"; exit
elif [ ! -f "$f" ]; then echo "unusable no regular file"; exit
elif [ ! -O "$f" ]; then echo "unusable owned by somebody else"; exit
elif [ ! -r "$f" ]; then echo "unusable not readable"; exit
else w=file
fi
if [ -d "${{t%/*}}" ] && [ ! -w "${{t%/*}}" ]; then
  w="$w in a folder that cannot be written (a read-only file system, or its mode)"
elif [ -f "$t" ] && [ ! -w "$t" ]; then
  case "$(ls -ld "$t")" in
    -?w*) w="$w that is immutable or on a read-only file system";;
  esac
fi
echo "$w"
[ ! -f "$f" ] || exec head -c {most} "$f"
exit 0
"""

# What ssh itself says of the user's own configuration, where there is more in it than clusterboot's
# line, or others may write to it; a fault in clusterboot's part is mended anyway.
# What that takes in may be anything, also what never ends.
_CHECK_CONFIG = """[ -f "$HOME/.ssh/config" ] || exit 0
set -- $(ls -ldn "$HOME/.ssh/config")
case $1 in -????-??-*) o=;; *) o=yes;; esac
[ "$5" -lt @MOST@ ] || exit 0
while IFS= read -r l || [ -n "$l" ]; do
  case $l in ''|*clusterboot*) ;; *) o=yes; break;; esac
done <"$HOME/.ssh/config"
[ -n "$o" ] || exit 0
for f in "$HOME"/.ssh/clusterboot/*/config; do
  [ ! -e "$f" ] || [ -f "$f" ] || exit 0
done
t=
! command -v timeout >/dev/null 2>&1 || t='timeout 10'
{ $t ssh -G localhost 2>&1 >/dev/null </dev/null
  [ $? -ne 124 ] || echo 'terminating, what it includes has no end'
} | grep -v "clusterboot/" | head -n 3
exit 0
"""
SHOW_LEFT = """for f in "$HOME"/.ssh/.clusterboot.lock "$HOME"/.ssh/.*.clusterboot-new; do
  [ -e "$f" ] && echo left
done
exit 0
"""
_CONFIG_FAULT = re.compile(r"(?m)^(.*(?:line \d+|Bad owner|terminating).*)$")


@dataclass(frozen=True)
class Surveyed:
    """What one node said: its facts, the state of its keys, and the host key it was reached under."""

    facts: NodeFacts
    keys: Survey
    host_key: bytes


def survey(visit: Visit, *, make_key: bool, make_next: bool = False) -> dict[str, Surveyed]:
    """Ask every host at once what it is.

    Parameters: ``make_key`` lets a node make its key for this cluster if it has none,
    ``make_next`` its successor.
    Returns: the answers by host name, in the cluster's order; who did not answer is out.
    """

    def one(session: Session) -> Surveyed:
        return ask(visit.cluster, session, make_key=make_key, make_next=make_next)

    return visit.stage("nodes inspected", visit.good, one)


def ask(cluster: Cluster, session: Session, *, make_key: bool, make_next: bool = False) -> Surveyed:
    """Ask one host what it is; parameters as for :func:`survey`."""
    options = cluster.options
    keys = question(cluster.name, make_key=make_key, make_next=make_next)
    found, survey = session.ask(both(collect.question(options), keys))
    if options.mpi.kind:
        found = replace(found, mpi=tuple(mpi for mpi in found.mpi if mpi.kind == options.mpi.kind))
    return Surveyed(found, survey, session.host_key_blob)


def question(cluster: str, *, make_key: bool, make_next: bool = False) -> Question[Survey]:
    """Ask a host for the state of its keys.

    Parameters: the cluster's name, checked by the cluster file's rule; ``make_key`` has it make its key
    for this cluster if it has none, with ``make_next`` the key's successor too. Its ``parse`` raises
    :class:`PartialError` at stage ``keys`` where the key could not be made.
    """
    make = _MAKE_KEY.replace("@COMMENT@", shlex.quote(f"clusterboot:{cluster}")) if make_key else ""
    calls = ('make_key "$k"\n' if make_key else "") + ('make_key "$n"\n' if make_next else "")
    asked = (
        _key_section(cluster, make + calls),
        Section("keys.host_keys", _SHOW_HOST_KEYS),
        Section("keys.config_check", _CHECK_CONFIG.replace("@MOST@", str(_MOST_BYTES))),
        Section("keys.left", SHOW_LEFT),
        changing.look_section(cluster),
        *(file_section(name, cluster) for name in _FILES),
    )
    return Question(asked, lambda reply: _parse(reply.sections, cluster), "keys")


def _key_section(cluster: str, make: str = "") -> Section:
    """Give the piece that tells a node's key, after ``make`` has been done."""
    own = f'd="$HOME/"{cluster_folder(cluster)}\n'
    names = _KEY_NAMES.replace("@MOST@", str(_MOST_BYTES))
    return Section("keys.identity", own + names + make + _SHOW_KEYS)


def public_key(cluster: str) -> Question[str | None]:
    """Ask for the public key in use; ``None`` where there is none."""

    def parse(said: SectionOutput) -> str | None:
        current = _key(said.text.splitlines(), "current")
        return current.public_key if current else None

    return Question.of_one(_key_section(cluster), parse, "facts")


def file_section(name: str, cluster: str) -> Section:
    """Give the piece of a script that shows one of the files, by its field's name in :class:`Survey`."""
    path = _FILES[name].format(own=cluster_folder(cluster))
    return Section(f"keys.file.{name}", _SHOW_FILE.format(path=shlex.quote(path), most=_MOST_BYTES + 1))


def parse_file(outputs: Mapping[str, SectionOutput], name: str, cluster: str) -> NodeFile:
    """Read what :func:`file_section` said."""
    return _file(outputs[f"keys.file.{name}"], _FILES[name].format(own=cluster_folder(cluster)))


def _parse(outputs: Mapping[str, SectionOutput], cluster: str) -> Survey:
    identity = outputs["keys.identity"]
    lines = identity.text.splitlines()
    for name in ("keys.identity", "keys.host_keys"):
        _refuse_odd(outputs[name])
    if identity.exit_code:
        said = one_line(next((line[7:] for line in lines if line.startswith("failed ")), ""))
        cause = "the node's key could not be made" + (f": {said}" if said else "")
        raise PartialError(cause, stage="keys", remedy=install.remedy(said))
    files = {name: parse_file(outputs, name, cluster) for name in _FILES}
    for name in _OWN_FILES:
        # What a node's logins go by; of the user's own files it is told where they would be edited.
        usable(files[name])
    current, following = _key(lines, "current"), _key(lines, "next")
    fault = _CONFIG_FAULT.search(outputs["keys.config_check"].text)
    return Survey(
        public_key=current.public_key if current else None,
        host_keys=tuple(_host_keys(outputs["keys.host_keys"].text)),
        key_created="created" in lines,
        key=current,
        next_key=following,
        sshd_port=_sshd_port(lines),
        key_files=tuple(line.removeprefix("file ") for line in lines if line.startswith("file ")),
        left_behind="left" in outputs["keys.left"].text,
        config_fault=one_line(fault[1]) if fault else None,
        holder=changing.holder(outputs["keys.changing"]),
        **files,
    )


def _sshd_port(lines: Sequence[str]) -> int | None:
    """Read the last word of ``SSH_CONNECTION``, which is no port where sshd has no socket (``-i``)."""
    port = next((line[5:] for line in lines if line.startswith("port ")), "")
    return int(port) if re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65535 else None


def _refuse_odd(output: SectionOutput) -> None:
    """Refuse what is in a file's place and is none: reading it might not end."""
    path = next((line[4:] for line in output.text.splitlines() if line.startswith("odd ")), None)
    if path is None:
        return
    path = one_line(path)[:200]
    where = path if path.startswith("/") else f"~/{path}"
    raise PartialError(
        f"{where} is no regular file: a FIFO, a device or a socket",
        stage="keys",
        remedy="remove it, or put the file back that belongs there",
    )


def _key(lines: Sequence[str], word: str) -> NodeKey | None:
    start = next((at for at, line in enumerate(lines) if line.startswith(f"{word} id_")), None)
    if start is None:
        return None
    match = _PUBLIC_KEY.fullmatch(lines[start + 1].strip()) if start + 1 < len(lines) else None
    if match is None:
        return None
    after = lines[start + 2] if start + 2 < len(lines) else ""
    certificate = after + "\n" if after.startswith("ssh-ed25519-cert-v01@") else None
    return NodeKey(lines[start].split(" ")[1], f"{match[1]} {match[2]}", certificate)


def usable(file: NodeFile) -> NodeFile:
    """Give the file back if it may be edited.

    Errors: :class:`PartialError` at stage ``keys`` that says what is in its place.
    """
    if file.kind == "unusable":
        raise PartialError(
            f"~/{file.path} is not touched: {file.problem}",
            stage="keys",
            remedy="put a regular file of the user's own in its place",
        )
    return file


def changeable(edit: Edit) -> Edit:
    """Give the edit back if its file can be written.

    Errors: :class:`PartialError` at stage ``keys`` that says what stands against it.
    """
    if edit.old.problem:
        raise PartialError(
            f"~/{edit.path} is not touched: it is a file {edit.old.problem}"
            if edit.old.kind == "file"
            else f"~/{edit.path} is not made: it would be {edit.old.problem}",
            stage="keys",
            remedy="mount the home writable, take away chattr +i, or mend the folder's mode there",
        )
    return edit


def _host_keys(text: str) -> list[bytes]:
    keys = []
    for line in text.splitlines():
        fields = line.split()
        try:
            blob = base64.b64decode(fields[1], validate=True) if len(fields) > 1 else b""
        except binascii.Error:
            continue
        if key_type_of(blob) == (fields or [""])[0]:
            keys.append(blob)
    return keys


def _file(output: SectionOutput, path: str) -> NodeFile:
    word, _, content = output.stdout.partition(b"\n")
    kind, _, problem = word.decode("utf-8", "replace").partition(" ")
    kinds: dict[str, FileKind] = {"absent": "absent", "file": "file"}
    if kind not in kinds or output.exit_code:
        return NodeFile(path, "unusable", problem=one_line(problem) or "it could not be read")
    if len(content) > _MOST_BYTES:
        return NodeFile(path, "unusable", problem=f"it is larger than {_MOST_BYTES >> 20} MiB")
    return NodeFile(path, kinds[kind], content if kind == "file" else b"", problem or None)
