"""How planned edits reach a node: one script, each file changed whole or not at all."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Sequence
from functools import cache
from importlib import resources

from clusterboot.errors import PartialError
from clusterboot.mpi.script_names import cluster_folder
from clusterboot.nodes.question import Question
from clusterboot.nodes.script import Section, SectionOutput
from clusterboot.printable import one_line

from .known import Edit

_RESULT = re.compile(r"file (\S+) (changed|raced|failed)(?: (.*))?")
_LOCK = re.compile(r"(?m)^lock failed (.*)$")
#: The longest that an installing script takes, in seconds: it waits for a lock of somebody else's, each
#: time as long as ``install.sh`` says. A write takes well below a second.
TIMEOUT_S = 150.0

# What the node's tools say, and what to do about it. The first match counts.
_REMEDIES = (
    (r"No space left on device", "free disk space or inodes of the home there"),
    (r"[Qq]uota exceeded", "free disk space: the user's quota there is used up"),
    (r"Read-only file system", "mount the home there writable"),
    (r"Operation not permitted", "look for an immutable file or folder: lsattr -d ~/.ssh ~/.ssh/*"),
    (r"Permission denied", "check owner and mode of ~/.ssh there"),
    (r"leaves the home", "put a folder of the user's own in its place"),
    (r"^held by", "wait until that one has ended, then run the command again"),
    (r"not found", "install the OpenSSH client and GNU or busybox tools there"),
    (r"", "check the disk, quota and permissions of the home there"),
)

# What one cluster made, another one of the same nodes may still need: the last one takes it away.
_HAND_OVER = """for o in "$HOME"/.ssh/clusterboot/*; do
  [ -f "$d/created" ] && [ -s "$d/created" ] && [ -d "$o" ] && [ "$o" != "$d" ] || continue
  [ -f "$o/created" ] || [ ! -e "$o/created" ] || continue
  cat "$d/created" >>"$o/created"
  break
done"""


class RacedError(PartialError):
    """A file was changed by somebody else between its reading and its writing; nothing was lost."""


def section(cluster: str, edits: Sequence[Edit], *, drop: Sequence[str] = ()) -> Section:
    """Write the script that makes ``edits``, all under one lock.

    The bytes that stay are taken from the file on the node; only clusterboot's own lines
    travel. What clusterboot creates is written down in its folder there, so that it can be
    taken away again.
    Parameters: ``drop`` are names of files in the cluster's own folder that go once the edits
    are made.
    """
    own = cluster_folder(cluster)
    lines = [
        functions("install.sh"),
        f'd="$HOME/"{shlex.quote(own)}',
        '[ -d "$d" ] || cb_said=$(mkdir -p "$d" 2>&1) || { echo "lock failed $cb_said"; exit 1; }',
        "cb_lock",
    ]
    for edit in edits:
        if edit.old.kind == "absent" and not edit.path.startswith(own):
            lines.append(f'cb_note "$d" {shlex.quote(edit.path)}')
        lines.append(_made(edit))
    lines += [f'rm -f "$d"/{shlex.quote(name)}' for name in drop]
    return Section("keys.install", "\n".join([*lines, "exit 0"]))


def removal_section(cluster: str, edits: Sequence[Edit]) -> Section:
    """Write the script that makes ``edits`` and then removes the cluster's own folder."""
    own = cluster_folder(cluster)
    lines = [functions("install.sh"), 'if [ -d "$HOME/.ssh" ]; then', "cb_lock"]
    lines += [
        *map(_made, edits),
        f'd="$HOME/"{own}',
        "made=",
        '[ ! -f "$d/created" ] || made=$(head -c 65536 "$d/created" | grep -x .ssh)',
        _HAND_OVER,
        f'if [ -e "$d" ]; then cb_at dropping; rm -rf "$d" && echo "file {own} changed"; fi',
        'rmdir "$HOME/.ssh/clusterboot" 2>/dev/null',
        "trap - EXIT",
        "cb_unlock",
        '[ -z "$made" ] || rmdir "$HOME/.ssh" 2>/dev/null',
        "fi",
        "exit 0",
    ]
    return Section("keys.install", "\n".join(lines))


def made(section: Section, edits: Sequence[Edit]) -> Question[tuple[str, ...]]:
    """Have a host run a script of :func:`section` or :func:`removal_section`.

    The answer is as :func:`parse` gives it.
    """
    return Question.of_one(section, lambda output: parse(output, edits), "keys", TIMEOUT_S)


def parse(output: SectionOutput, edits: Sequence[Edit]) -> tuple[str, ...]:
    """Read what an installing script said.

    Returns: the paths that changed, below the home.
    Errors: :class:`RacedError` where somebody else edits a file, :class:`PartialError` where an
    edit was not made for another reason, both at stage ``keys``.
    """
    results = {match[1]: match for line in output.text.splitlines() if (match := _RESULT.fullmatch(line))}
    locked = _LOCK.search(output.text)
    if locked:
        said = one_line(locked[1])
        cause = "its key files are locked" if said.startswith("held by") else "~/.ssh cannot be changed"
        raise PartialError(f"{cause}: {said}", stage="keys", remedy=remedy(said))
    for edit in edits:
        match = results.get(edit.path)
        if match and match[2] == "changed":
            continue
        if match and match[2] == "raced":
            cause = f"~/{edit.path} changed while it was looked at"
            raise RacedError(cause, stage="keys", remedy="somebody else edits it; run the command again")
        said = one_line((match[3] or "") if match else output.text)
        cause = f"~/{edit.path} could not be written" + (f": {said}" if said else "")
        raise PartialError(cause, stage="keys", remedy=remedy(said))
    return tuple(match[1] for match in results.values() if match[2] == "changed")


def remedy(said: str) -> str:
    """Say what to do about what a node's tool said when it could not write."""
    return next(advice for pattern, advice in _REMEDIES if re.search(pattern, said))


@cache
def functions(name: str) -> str:
    """Give the text of one of this room's shell files: read once, and sent to every host."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _made(edit: Edit) -> str:
    path = shlex.quote(edit.path)
    if edit.remove:
        return f"cb_remove {path} {edit.old.digest} || exit 0"
    # The shell's own printf, where a here-document would be a process, and two where it is long.
    parts = [f"printf %s {shlex.quote(edit.insert)}"] if edit.insert else []
    parts += [f"cb_keep {path} {offset} {length}" for offset, length in edit.keep]
    made = hashlib.sha256(edit.new).hexdigest()
    text = "\n".join(parts or [":"])
    return f"{{\n{text}\n}} | cb_replace {path} {edit.old.digest} {made} || exit 0"
